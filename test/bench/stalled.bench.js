// 900 observers that read, beside 100 that do not, and beside 100 more that do: two servers in alternating
// rounds. Target: the p99 of those that read changes by at most a tenth.
import { median, rounded } from "./quantiles.js";
import { startChild, startStream } from "./stream-peers.js";

const TARGET = 1.1;
const READERS = 900;
const STALLED = 100;
const ROUNDS = Number(process.env.ROUNDS ?? 40);
const WARMUPS = 5;
/** So many bytes to each are more than the system buffers for a socket that nobody reads. */
const FILLS = 300;
const FILL_BYTES = 65_536;

const stalled = await startBeside("stall");
const healthy = await startBeside("read");
const rounds = [];
for (let index = -WARMUPS; index < ROUNDS; index += 1) {
  const pair = {};
  const order = index % 2 === 0 ? ["stalled", "healthy"] : ["healthy", "stalled"];
  for (const who of order) pair[who] = await (who === "stalled" ? stalled : healthy).stream.round();
  if (index >= 0) rounds.push(pair);
}
const { clients } = await stalled.stream.server.ask({ do: "memory" });
if (clients !== READERS + STALLED) throw new Error(`only ${clients} are still connected`);
for (const each of [stalled, healthy]) await each.stop();
const ratio = median(rounds.map((pair) => pair.stalled.p99Ms / pair.healthy.p99Ms));
console.log(
  JSON.stringify({
    name: "stalled clients",
    readers: READERS,
    stalled: STALLED,
    rounds: ROUNDS,
    p99Ms: rounded(median(rounds.map((pair) => pair.stalled.p99Ms))),
    healthyP99Ms: rounded(median(rounds.map((pair) => pair.healthy.p99Ms))),
    ratio: rounded(ratio),
    target: TARGET,
  }),
);
process.exitCode = ratio <= TARGET ? 0 : 1;

/** The readers come after the others have been sent more than anybody buffers. */
async function startBeside(what) {
  const stream = await startStream("publisher", 0);
  const others = await startChild("./stream-clients.js");
  await others.ask({ do: "connect", port: stream.server.port, count: STALLED });
  if (what === "stall") await others.ask({ do: "stall" });
  for (let fill = 0; fill < FILLS; fill += 1) {
    await stream.server.ask({ do: "broadcast", revision: 2 + fill, reasonBytes: FILL_BYTES });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await stream.clients.ask({ do: "connect", port: stream.server.port, count: READERS });
  stream.skipTo(2 + FILLS);
  return {
    stream,
    async stop() {
      await others.stop();
      await stream.stop();
    },
  };
}
