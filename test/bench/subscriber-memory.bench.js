// Resident memory of one more idle observer at the server, beside bare `ws`: the growth from the first
// thousands to many more, so that what a process takes anyway does not count. Target: at most 1.5 times.
import { rounded } from "./quantiles.js";
import { startStream } from "./stream-peers.js";

const TARGET = 1.5;
const FIRST = 2_000;
const MORE = Number(process.env.COUNT ?? 8_000);

const bytes = {};
for (const kind of ["publisher", "ws"]) {
  const stream = await startStream(kind, FIRST);
  // A frame to each, so that both have sent before.
  await stream.round();
  const before = await stream.server.ask({ do: "memory" });
  await stream.clients.ask({ do: "connect", port: stream.server.port, count: MORE });
  await stream.round();
  const after = await stream.server.ask({ do: "memory" });
  if (after.clients !== FIRST + MORE) throw new Error(`${after.clients} are connected`);
  bytes[kind] = {
    rss: (after.rss - before.rss) / MORE,
    heap: (after.heapUsed - before.heapUsed) / MORE,
  };
  await stream.stop();
}
const ratio = bytes.publisher.rss / bytes.ws.rss;
console.log(
  JSON.stringify({
    name: "memory of an idle subscriber",
    subscribers: FIRST + MORE,
    rssBytes: Math.round(bytes.publisher.rss),
    bareRssBytes: Math.round(bytes.ws.rss),
    heapBytes: Math.round(bytes.publisher.heap),
    bareHeapBytes: Math.round(bytes.ws.heap),
    ratio: rounded(ratio),
    target: TARGET,
  }),
);
process.exitCode = ratio <= TARGET ? 0 : 1;
