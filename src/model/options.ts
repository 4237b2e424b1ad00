import { z } from "zod";

const MEBIBYTE = 1024 * 1024;

/** What a file may hold before it is decoded; each limit keeps a hostile file from costing memory. */
export const modelLimitsSchema = z.strictObject({
  bytesMax: z
    .number()
    .int()
    .positive()
    .max(2047 * MEBIBYTE)
    .default(2047 * MEBIBYTE)
    .describe("Largest model, external weights included. Protobuf itself ends at 2 GiB."),
  layersMax: z
    .number()
    .int()
    .positive()
    .default(250_000)
    .describe("Most nodes, those of sub-graphs and local functions included."),
  messageDepthMax: z
    .number()
    .int()
    .positive()
    .max(100)
    .default(100)
    .describe("Deepest nesting of messages. A nested If takes three; ONNX Runtime stops at 100."),
  recordsMax: z
    .number()
    .int()
    .positive()
    .default(8_000_000)
    .describe("Most fields that are decoded. Weights count as one, not by their length."),
});
export type ModelLimits = z.infer<typeof modelLimitsSchema>;

export const cutOptionsSchema = z.strictObject({
  maxCutTensors: z
    .number()
    .int()
    .positive()
    .max(1_000)
    .default(1)
    .describe("Most distinct tensors that may cross a cut point."),
});
export type CutOptions = z.infer<typeof cutOptionsSchema>;
