// How exactly the probes measure an emulated link: ratios of measured to set, best and worst of five.
// Targets: round trip within a tenth or 1 ms, bandwidth within a tenth.
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { startLinkEmulator } from "../../dist/demo/index.js";
import {
  probeLink,
  probeOptionsSchema,
  probeServerOptionsSchema,
  startProbeServer,
} from "../../dist/telemetry/index.js";

const ROUNDS = 5;
const SHAPES = [
  { rttMs: 1, bandwidthMbps: 20 },
  { rttMs: 20, bandwidthMbps: 0.5 },
  { rttMs: 100, bandwidthMbps: 5 },
  { rttMs: 10, bandwidthMbps: 100 },
  { rttMs: 100, bandwidthMbps: 200 },
  { rttMs: 300, bandwidthMbps: 10 },
];
const host = "127.0.0.1";
const deps = { log: silentLogger, clock: systemClock, random: seededRandom(7) };

const server = await startProbeServer(probeServerOptionsSchema.parse({ port: 0 }), deps);
for (const shape of SHAPES) {
  const target = { host, port: server.port };
  const link = await startLinkEmulator({ target, ...shape }, deps);
  const reports = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { up, down } = await probeLink(
      { host, port: link.port },
      probeOptionsSchema.parse({}),
      deps,
    );
    reports.push(up, down);
  }
  await link.stop();
  console.log(
    JSON.stringify({
      name: "link probe",
      ...shape,
      rttMs: range(reports.map((report) => report.rttMs)),
      bandwidthRatio: range(reports.map((report) => report.bandwidthMbps / shape.bandwidthMbps)),
    }),
  );
}
await server.stop();

function range(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((value) =>
    Number(value.toPrecision(3)),
  );
}
