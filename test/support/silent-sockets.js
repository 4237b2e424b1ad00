// Run as a child by test/publisher/bad-sockets.test.ts, since the files that one process may have open do
// not suffice for both ends: opens `count` update streams at `port`, says nothing on them, and tells how
// many are open and, at its end, with which code how many were closed.
import { connect } from "node:net";

const [port, countText, handshake] = process.argv.slice(2);
const count = Number(countText);
const AT_ONCE = 100;
const CLOSE_FRAME = 0x88;

let opened = 0;
let closed = 0;
const codes = {};

function open() {
  return new Promise((resolve) => {
    const socket = connect(Number(port), "127.0.0.1");
    let received = Buffer.alloc(0);
    let isOpen = false;
    socket.on("connect", () => socket.write(handshake));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf("\r\n\r\n");
      if (!isOpen && end >= 0) {
        isOpen = true;
        opened += received.toString("latin1").startsWith("HTTP/1.1 101 ") ? 1 : 0;
        resolve();
      }
      const frame = received.subarray(end + 4);
      if (isOpen && frame.length >= 4 && frame[0] === CLOSE_FRAME) {
        const code = frame.readUInt16BE(2);
        codes[code] = (codes[code] ?? 0) + 1;
        received = received.subarray(0, end + 4);
      }
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve();
      closed += 1;
      if (closed === count) process.stdout.write(`${JSON.stringify({ closed: codes })}\n`);
    });
  });
}

for (let begun = 0; begun < count; begun += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - begun) }, open));
}
process.stdout.write(`${JSON.stringify({ opened })}\n`);
