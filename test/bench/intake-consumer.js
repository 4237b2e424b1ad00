// Child of the intake benchmark: the daemon's telemetry (`telemetry`) or bare MQTT.js (`mqtt`). Answers
// with the time from the first to the last of so many messages, and the processor time they took.
import { connectAsync } from "mqtt";
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { Context } from "../../dist/daemon/context.js";
import { connectTelemetry, mqttOptionsSchema } from "../../dist/telemetry/index.js";
import { monotonicMs } from "./quantiles.js";

const [kind = "", url = ""] = process.argv.slice(2);
/** Each has a site of its own, so that neither hears what is meant for the other. */
const topicRoot = `scission/v1/bench-${kind}`;
let round = { count: 0, seen: 0, firstMs: 0 };
let cpuBefore = process.cpuUsage();

// An ordinary end, so that a processor profile is written where one is asked for.
process.on("SIGINT", () => process.exit());
process.on("message", ({ count }) => {
  round = { count, seen: 0, firstMs: 0 };
  cpuBefore = process.cpuUsage();
  process.send({ ready: true });
});

function seen() {
  round.seen += 1;
  if (round.seen === 1) round.firstMs = monotonicMs();
  if (round.seen < round.count) return;
  const { user, system } = process.cpuUsage(cpuBefore);
  process.send({ elapsedMs: monotonicMs() - round.firstMs, cpuMs: (user + system) / 1_000 });
}

if (kind === "telemetry") {
  const context = new Context();
  await connectTelemetry(
    mqttOptionsSchema.parse({
      url,
      // No report is held back, so that each of them costs all that one can cost.
      limits: { linkReportsPerSecond: 10_000, linkReportsBurst: 100_000 },
    }),
    { site: "bench-telemetry", state: nodeState() },
    {
      log: silentLogger,
      clock: systemClock,
      random: seededRandom(1),
      handlers: {
        onLink({ from, to, report, measuredMonotonicMs }) {
          context.recordLink({ from, to }, report, {
            nowMs: measuredMonotonicMs,
            halfLifeMs: 10_000,
          });
          seen();
        },
        onConnection: (connected) => {
          if (connected) setTimeout(() => process.send({ topicRoot }), 500);
        },
      },
    },
  );
} else {
  const client = await connectAsync(url);
  client.on("message", (topic, payload) => {
    JSON.parse(payload.toString("utf8"));
    seen();
  });
  // As the telemetry does: MQTT 3.1.1, QoS 1. What is published with QoS 0 reaches both with QoS 0.
  await client.subscribeAsync(`${topicRoot}/#`, { qos: 1 });
  process.send({ topicRoot });
}

function nodeState() {
  return {
    node: "edge-1",
    status: "online",
    bootId: "bench",
    tier: "edge",
    hardwareClass: "bench",
    version: "bench",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
}
