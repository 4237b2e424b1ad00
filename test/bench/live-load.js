// A process of its own that serves requests at half a core's load, and tells how long each one took.
// argv: model file, JSON of its inputs' shapes. Sends { startMs, latencyMs } for each request.
import ort from "onnxruntime-node";
import { median, monotonicMs } from "./quantiles.js";

const CALIBRATION_RUNS = 20;
const PERIODS_OF_SERVICE = 2;

const [, , path, inputsText] = process.argv;
const session = await ort.InferenceSession.create(path, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
});
const feeds = Object.fromEntries(
  JSON.parse(inputsText).map(({ name, shape }) => {
    const size = shape.reduce((product, axis) => product * axis, 1);
    return [name, new ort.Tensor("float32", new Float32Array(size).fill(0.5), shape)];
  }),
);

const serviceMs = [];
for (let run = 0; run < CALIBRATION_RUNS; run += 1) {
  const startMs = monotonicMs();
  await session.run(feeds);
  serviceMs.push(monotonicMs() - startMs);
}
const periodMs = PERIODS_OF_SERVICE * median(serviceMs);
process.send({ periodMs });

// Latency counts from the moment a request was due, so that no wait for a processor is left out.
let dueMs = monotonicMs();
while (process.connected) {
  dueMs += periodMs;
  const waitMs = dueMs - monotonicMs();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  await session.run(feeds);
  // The parent may have hung up meanwhile.
  process.send({ startMs: dueMs, latencyMs: monotonicMs() - dueMs }, () => undefined);
}
