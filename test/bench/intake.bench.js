// Link telemetry taken in by the daemon's MQTT client, schema, age and rate checks included, beside a bare
// MQTT.js consumer of the same messages, both on Mosquitto, in alternating rounds. Publisher and consumers
// are processes of their own. Target: at least half the bare consumer's rate.
import { median, rounded } from "./quantiles.js";
import { startChild } from "./stream-peers.js";
import { startMosquitto } from "./mosquitto.js";

const TARGET = 0.5;
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const MESSAGES = 20_000;
const WARMUPS = 3;

const broker = await startMosquitto();
const rates = { ours: [], bare: [] };
// Broker and publisher may be what limits both; processor time tells the consumers apart even then.
const cpuMs = { ours: [], bare: [] };
const consumers = {
  ours: await startChild("./intake-consumer.js", ["telemetry", broker.url]),
  bare: await startChild("./intake-consumer.js", ["mqtt", broker.url]),
};
const source = await startChild("./intake-source.js", [broker.url]);
for (let index = -WARMUPS; index < ROUNDS; index += 1) {
  const order = index % 2 === 0 ? ["ours", "bare"] : ["bare", "ours"];
  for (const who of order) {
    const { topicRoot } = consumers[who];
    await consumers[who].ask({ do: "await", count: MESSAGES });
    const done = consumers[who].next();
    await source.ask({ do: "publish", topicRoot, count: MESSAGES });
    const told = await done;
    if (index < 0) continue;
    rates[who].push((MESSAGES / told.elapsedMs) * 1_000);
    cpuMs[who].push(told.cpuMs);
  }
}
for (const child of [source, ...Object.values(consumers)]) await child.stop();
await broker.stop();
const ratio = median(rates.ours.map((rate, index) => rate / rates.bare[index]));
console.log(
  JSON.stringify({
    name: "telemetry intake",
    rounds: ROUNDS,
    messages: MESSAGES,
    perSecond: Math.round(median(rates.ours)),
    barePerSecond: Math.round(median(rates.bare)),
    ratio: rounded(ratio),
    cpuMicroseconds: rounded((median(cpuMs.ours) / MESSAGES) * 1_000),
    bareCpuMicroseconds: rounded((median(cpuMs.bare) / MESSAGES) * 1_000),
    target: TARGET,
  }),
);
process.exitCode = ratio >= TARGET ? 0 : 1;
