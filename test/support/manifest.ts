import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const modelSchema = z.object({
  name: z.string(),
  file: z.string(),
  outputs: z.array(z.object({ name: z.string() })),
  loads: z.boolean(),
  runs: z.boolean(),
  usedShapes: z.record(z.string(), z.array(z.number())).nullish(),
  fill: z.record(z.string(), z.number()).nullish(),
  /** Name and bytes (null: not measured) of every tensor on all paths from inputs to outputs; null: not determined. */
  singleTensorCuts: z.array(z.tuple([z.string(), z.number().nullable()])).nullish(),
});
export type RealModel = z.infer<typeof modelSchema>;

const badFileSchema = z.object({ name: z.string(), file: z.string(), outcome: z.string() });
export type BadFile = z.infer<typeof badFileSchema>;

/** The real models of the data directory. */
export function realModels(directory: string): RealModel[] {
  const text = readFileSync(join(directory, "models", "manifest.json"), "utf8");
  return z.object({ models: z.array(modelSchema) }).parse(JSON.parse(text)).models;
}

/** Hostile and odd files, with what ONNX Runtime does with them. */
export function badFiles(directory: string): BadFile[] {
  const text = readFileSync(join(directory, "models", "bad", "manifest.json"), "utf8");
  return z.array(badFileSchema).parse(JSON.parse(text));
}
