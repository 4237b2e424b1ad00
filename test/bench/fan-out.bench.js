// One update to 1,000 and 10,000 observers, beside bare `ws` that broadcasts the same bytes, in
// alternating rounds; servers and observers in processes of their own. Target: p99 at most 1.3 times.
import { median, rounded } from "./quantiles.js";
import { startStream } from "./stream-peers.js";

const TARGET = 1.3;
const ROUNDS = Number(process.env.ROUNDS ?? 30);
const WARMUPS = 5;
const COUNTS = (process.env.COUNTS ?? "1000,10000").split(",").map(Number);

process.exitCode = 0;
for (const count of COUNTS) {
  const ours = await startStream("publisher", count);
  const bare = await startStream("ws", count);
  const rounds = [];
  for (let index = -WARMUPS; index < ROUNDS; index += 1) {
    const pair = {};
    const order = index % 2 === 0 ? ["ours", "bare"] : ["bare", "ours"];
    for (const who of order) pair[who] = await (who === "ours" ? ours : bare).round();
    if (index >= 0) rounds.push(pair);
  }
  await ours.stop();
  await bare.stop();
  const medianOf = (who, key) => rounded(median(rounds.map((pair) => pair[who][key])));
  const ratio = median(rounds.map((pair) => pair.ours.p99Ms / pair.bare.p99Ms));
  if (ratio > TARGET) process.exitCode = 1;
  console.log(
    JSON.stringify({
      name: "fan-out",
      subscribers: count,
      rounds: ROUNDS,
      p50Ms: medianOf("ours", "p50Ms"),
      p99Ms: medianOf("ours", "p99Ms"),
      bareP50Ms: medianOf("bare", "p50Ms"),
      bareP99Ms: medianOf("bare", "p99Ms"),
      p99Ratio: rounded(ratio),
      target: TARGET,
    }),
  );
}
