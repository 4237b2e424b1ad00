// How exactly the probes measure an emulated link, one line per link: [least, median, largest] of all
// measurements in both directions, and whether each target holds for every single one of them.
// Targets: round trip within a tenth or 1 ms, from 1 to 300 ms; bandwidth within a tenth, from 0.5 to
// 200 Mbps at up to 100 ms (reported beyond); loss within four points of a link that loses 10 %.
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { startLinkEmulator } from "../../dist/demo/index.js";
import {
  probeLink,
  probeOptionsSchema,
  probeServerOptionsSchema,
  startProbeServer,
} from "../../dist/telemetry/index.js";

const ROUNDS = 4;
const BANDWIDTH_TARGET_RTT_MS = 100;
const SHAPES = [1, 10, 100, 300].flatMap((rttMs) =>
  [0.5, 5, 50, 200].map((bandwidthMbps) => ({ rttMs, bandwidthMbps })),
);
const host = "127.0.0.1";
const deps = { log: silentLogger, clock: systemClock, random: seededRandom(7) };
const server = await startProbeServer(probeServerOptionsSchema.parse({ port: 0 }), deps);

for (const shape of SHAPES) {
  let bytes = 0;
  const reports = await measure(shape, { rounds: ROUNDS, onBytes: (more) => (bytes += more) });
  const rtts = reports.map((report) => report.rttMs);
  const ratios = reports.map((report) => report.bandwidthMbps / shape.bandwidthMbps);
  const rttSlackMs = Math.max(1, shape.rttMs / 10);
  print("link probe", {
    ...shape,
    measuredRttMs: range(rtts),
    jitterMs: range(reports.map((report) => report.jitterMs)),
    bandwidthRatio: range(ratios),
    lossPercent: range(reports.map((report) => report.lossPercent ?? -1)),
    kilobytesPerProbe: Math.round(bytes / ROUNDS / 1_000),
    rttOk: rtts.every((rttMs) => Math.abs(rttMs - shape.rttMs) <= rttSlackMs),
    bandwidthOk:
      shape.rttMs > BANDWIDTH_TARGET_RTT_MS
        ? "no target"
        : ratios.every((ratio) => Math.abs(ratio - 1) <= 0.1),
  });
}
const lossy = { rttMs: 20, bandwidthMbps: 20, lossPercent: 10 };
const losses = (await measure(lossy, { rounds: 3, probe: { lossDatagrams: 1_000 } })).map(
  (report) => report.lossPercent,
);
print("loss probe", {
  ...lossy,
  measuredPercent: range(losses),
  ok: losses.every((loss) => Math.abs(loss - 10) <= 4),
});
const blocked = await measure({ ...lossy, lossPercent: 100 }, { rounds: 1 });
print("loss probe where UDP is blocked", {
  absent: blocked.every((report) => !("lossPercent" in report)),
});
await server.stop();

async function measure(shape, { rounds, probe = {}, onBytes = () => undefined }) {
  const link = await startLinkEmulator({ target: { host, port: server.port }, ...shape }, deps);
  const reports = [];
  for (let round = 0; round < rounds; round++) {
    const spend = (bytes) => {
      onBytes(bytes);
      return true;
    };
    const peer = { host, port: link.port };
    const options = probeOptionsSchema.parse(probe);
    const { up, down } = await probeLink(peer, options, { ...deps, spend });
    reports.push(up, down);
  }
  await link.stop();
  return reports;
}

function print(name, result) {
  console.log(JSON.stringify({ name, ...result }));
}

function range(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)].map((value) =>
    Number(value.toPrecision(3)),
  );
}
