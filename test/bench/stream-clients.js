// Child of the update stream's benchmarks: observers in a process of their own. `connect` opens so many
// and waits until each has its first frame; `await` answers when each has got one frame more.
import { WebSocket } from "ws";
import { monotonicMs, quantile } from "./quantiles.js";

const AT_ONCE = 200;
const sockets = [];
let arrivals = [];
let round;

process.on("message", async (command) => {
  switch (command.do) {
    case "connect":
      for (let opened = 0; opened < command.count; opened += AT_ONCE) {
        const some = Math.min(AT_ONCE, command.count - opened);
        await Promise.all(Array.from({ length: some }, () => connect(command.port)));
      }
      process.send({ connected: sockets.length });
      return;
    case "await":
      round = { sinceMs: undefined };
      arrivals = [];
      process.send({ ready: true });
      return;
    case "stall":
      for (const socket of sockets) socket.pause();
      process.send({ stalled: sockets.length });
  }
});
process.send({ started: true });

function connect(port) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/updates`, ["scission.updates.v1"], {
      perMessageDeflate: false,
    });
    socket.once("open", () => socket.send('{"type":"subscribe","role":"observer"}'));
    socket.once("error", reject);
    socket.once("message", () => {
      socket.on("message", arrived);
      sockets.push(socket);
      resolve();
    });
  });
}

function arrived() {
  if (round === undefined) return;
  arrivals.push(monotonicMs());
  if (arrivals.length < sockets.length) return;
  round = undefined;
  process.send({
    firstMs: arrivals[0],
    p50Ms: quantile(arrivals, 0.5),
    p99Ms: quantile(arrivals, 0.99),
    lastMs: arrivals.at(-1),
  });
}
