// Resident memory of one more idle observer at the server, beside bare `ws`: the growth from the first
// hundreds to many more, so that what a process takes anyway does not count; new processes in each of
// the alternating rounds. Target: at most 1.5 times.
import { median, rounded } from "./quantiles.js";
import { startStream } from "./stream-peers.js";

const TARGET = 1.5;
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const FIRST = 500;
const MORE = Number(process.env.COUNT ?? 2_000);

const rounds = [];
for (let index = 0; index < ROUNDS; index += 1) {
  const pair = {};
  const order = index % 2 === 0 ? ["publisher", "ws"] : ["ws", "publisher"];
  for (const kind of order) pair[kind] = await bytesEach(kind);
  rounds.push(pair);
}
const medianOf = (kind, key) => Math.round(median(rounds.map((pair) => pair[kind][key])));
const ratio = median(rounds.map((pair) => pair.publisher.rss / pair.ws.rss));
console.log(
  JSON.stringify({
    name: "memory of an idle subscriber",
    subscribers: FIRST + MORE,
    rounds: ROUNDS,
    rssBytes: medianOf("publisher", "rss"),
    bareRssBytes: medianOf("ws", "rss"),
    heapBytes: medianOf("publisher", "heap"),
    bareHeapBytes: medianOf("ws", "heap"),
    ratio: rounded(ratio),
    target: TARGET,
  }),
);
process.exitCode = ratio <= TARGET ? 0 : 1;

async function bytesEach(kind) {
  const stream = await startStream(kind, FIRST);
  // A frame to each, so that both have sent before.
  await stream.round();
  const before = await stream.server.ask({ do: "memory" });
  await stream.clients.ask({ do: "connect", port: stream.server.port, count: MORE });
  await stream.round();
  const after = await stream.server.ask({ do: "memory" });
  if (after.clients !== FIRST + MORE) throw new Error(`${after.clients} are connected`);
  await stream.stop();
  return {
    rss: (after.rss - before.rss) / MORE,
    heap: (after.heapUsed - before.heapUsed) / MORE,
  };
}
