// Run as a child by test/publisher/fuzz.test.ts: feeds mutated messages to the update stream's connections,
// which serve the plan given, and says on standard output how many there were, how connections ended, and
// how the heap grew.
import { EventEmitter, once } from "node:events";
import { WebSocket } from "ws";
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { Connection } from "../../dist/publisher/connection.js";
import { Hub } from "../../dist/publisher/hub.js";
import { startPublisher } from "../../dist/publisher/index.js";
import { publisherOptionsSchema } from "../../dist/publisher/options.js";
import { mutatedMessage } from "./fuzz-messages.js";

const [kind, seedText, countText, planText] = process.argv.slice(2);
const random = seededRandom(Number(seedText));
const messages = Number(countText);
const MESSAGES_PER_CONNECTION = kind === "memory" ? 20 : 10;
/** Growth is measured from here: caches and compiled code are in place. */
const WARM_SHARE = 0.2;

const causes = {};
const deps = {
  log: silentLogger,
  clock: systemClock,
  random,
  metrics: { contentType: "text/plain", render: () => Promise.resolve("") },
  api: {},
  onEvent: (event) => {
    const name = event.cause ?? event.result ?? event.type;
    causes[name] = (causes[name] ?? 0) + 1;
  },
};
const options = publisherOptionsSchema.parse({
  port: 0,
  stream: { messagesPerSecondMax: 1_000_000, subscribersPerAddressMax: 10_000 },
});
const snapshot = { epoch: "epoch-1", plans: [JSON.parse(planText)] };
const round = kind === "memory" ? inMemory() : await overSockets();

let heapBefore = 0;
let sent = 0;
while (sent < messages) {
  sent += await round();
  if (heapBefore === 0 && sent >= messages * WARM_SHARE) heapBefore = await heapBytes();
}
const heapAfter = await heapBytes();
const told = JSON.stringify({ sent, causes, grownBytes: heapAfter - heapBefore });
process.stdout.write(`${told}\n`, () => process.exit(0));

async function heapBytes() {
  for (let pass = 0; pass < 3; pass += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

/** Connections over a socket that takes everything: all the daemon's own code, and no kernel. */
function inMemory() {
  const hub = new Hub(options, deps, () => undefined);
  hub.offer(snapshot);
  const principal = { name: "anybody", role: "admin", nodes: undefined, credential: "" };
  return async () => {
    const socket = new EventEmitter();
    let isOpen = true;
    let nonce = "";
    const end = () => {
      isOpen = false;
    };
    socket.send = ({ bytes }, onTaken) => {
      nonce = /"nonce":"([^"]*)"/.exec(bytes.toString("utf8", 0, 200))?.[1] ?? nonce;
      process.nextTick(onTaken);
    };
    Object.assign(socket, { close: end, terminate: end, ping: () => undefined });
    hub.connections.add(new Connection(socket, principal, hub.context));
    let count = 0;
    while (isOpen && count < MESSAGES_PER_CONNECTION) {
      socket.emit("message", mutatedMessage(random, { nonce, isFirst: count === 0 }), false);
      count += 1;
      if (count % 4 === 0) await undefined;
    }
    await new Promise((resolve) => setImmediate(resolve));
    socket.emit("close");
    return count;
  };
}

/** The same over real sockets. */
async function overSockets() {
  const publisher = await startPublisher(options, deps);
  publisher.offer(snapshot);
  return async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${publisher.port}/api/v1/updates`, [
      "scission.updates.v1",
    ]);
    socket.on("error", () => undefined);
    let nonce = "";
    socket.on("message", (data) => {
      nonce = JSON.parse(data.toString("utf8")).nonce ?? nonce;
    });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await once(socket, "open");
    for (let count = 0; count < MESSAGES_PER_CONNECTION; count += 1) {
      const message = mutatedMessage(random, { nonce, isFirst: count === 0 });
      if (socket.readyState === WebSocket.OPEN) socket.send(message, { binary: false });
    }
    socket.close();
    await closed;
    return MESSAGES_PER_CONNECTION;
  };
}
