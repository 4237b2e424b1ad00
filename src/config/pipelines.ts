import { createHash } from "node:crypto";
import { z } from "zod";
import { matchesGlob } from "../core/index.js";
import { type DriftOptions, driftOptionsSchema } from "../drift/options.js";
import { constraintsSchema, costModelSchema } from "../planner/options.js";
import { nameSchema } from "../protocol/index.js";
import { overridesOf } from "./overrides.js";

const DEVICES_MAX = 1_000;
const NAME_LENGTH_MAX = 63;
const HASH_DIGITS = 8;
const REQUESTS_PER_SECOND_MAX = 100_000;

const selectorSchema = z
  .strictObject({
    names: z
      .string()
      .regex(/^[a-z0-9*-]{1,63}$/, "use a-z, 0-9 and -, and * for any number of them")
      .optional()
      .describe('Name pattern; * stands for any characters: "cam-*".'),
    hardwareClass: nameSchema.optional().describe("Hardware class of the devices."),
  })
  .refine((selector) => selector.names !== undefined || selector.hardwareClass !== undefined, {
    message: "give names or hardwareClass",
  });

export const deviceSelectorSchema = z.union([
  z.array(nameSchema).min(1).max(DEVICES_MAX),
  selectorSchema,
]);
/** Devices by name, or every device that fits a pattern and a hardware class. */
export type DeviceSelector = z.infer<typeof deviceSelectorSchema>;

export const pipelineSchema = z.strictObject({
  name: nameSchema.describe("Name; the pipeline of device cam-1 is <name>-cam-1."),
  model: nameSchema.describe("Name of a model under models."),
  devices: deviceSelectorSchema.describe(
    "Devices at which the input arises: a list of names, or {names: pattern, hardwareClass: class}.",
  ),
  constraints: constraintsSchema
    .prefault({})
    .describe("What a plan must respect. Without any, the fastest plan wins."),
  costModel: costModelSchema.prefault({}).describe("How the time of a hop is predicted."),
  requestsPerSecond: z
    .number()
    .positive()
    .max(REQUESTS_PER_SECOND_MAX)
    .default(1)
    .describe(
      "Requests that each device sends. By it plans of other pipelines keep off nodes that this one keeps busy.",
    ),
  thresholds: overridesOf<DriftOptions>(driftOptionsSchema).describe(
    "Thresholds of this pipeline that differ from the ones under thresholds.",
  ),
});
export type PipelineSection = z.infer<typeof pipelineSchema>;

/** Whether the selector takes the device. */
export function matchesDevice(
  selector: DeviceSelector,
  device: { name: string; hardwareClass: string },
): boolean {
  if (Array.isArray(selector)) return selector.includes(device.name);
  const { names, hardwareClass } = selector;
  if (names !== undefined && !matchesGlob(names, device.name)) return false;
  return hardwareClass === undefined || hardwareClass === device.hardwareClass;
}

/** Name of the pipeline of one device; shortened, with a hash in its place, where it would be too long. */
export function pipelineName(pipeline: string, device: string): string {
  const name = `${pipeline}-${device}`;
  if (name.length <= NAME_LENGTH_MAX) return name;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_DIGITS);
  return `${name.slice(0, NAME_LENGTH_MAX - HASH_DIGITS - 1)}-${hash}`;
}
