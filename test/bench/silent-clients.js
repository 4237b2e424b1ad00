// Child of the benchmark of silent connections: upgrades to WebSocket and says nothing. Each command is
// answered with how many are open, and how many were closed by which code and refused with which status.
import { WebSocket } from "ws";

const AT_ONCE = 200;
const told = { open: 0, closed: {}, refused: {} };

process.on("message", async (command) => {
  if (command.do === "connect") {
    for (let opened = 0; opened < command.count; opened += AT_ONCE) {
      const some = Math.min(AT_ONCE, command.count - opened);
      await Promise.all(Array.from({ length: some }, () => connect(command)));
    }
  }
  process.send(told);
});
process.send({ started: true });

function connect({ port, from }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/updates`, ["scission.updates.v1"], {
      perMessageDeflate: false,
      localAddress: from,
    });
    socket.once("open", () => {
      told.open += 1;
      socket.once("close", (code) => {
        told.open -= 1;
        count(told.closed, code);
      });
      resolve();
    });
    socket.once("unexpected-response", (request, { statusCode }) => {
      count(told.refused, statusCode);
      request.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}

function count(counts, key) {
  counts[key] = (counts[key] ?? 0) + 1;
}
