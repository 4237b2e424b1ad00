import { z } from "zod";
import { AppError, printable } from "../../core/index.js";
import { type Parsed, parseValue, TIERS, type Tier, tierSchema } from "../../protocol/index.js";

const BLOCKS_MAX = 20_000;
const CUT_TENSORS_MAX = 10_000;
const MS_PER_SECOND = 1_000;

const nameTextSchema = z.string().min(1).max(200);
const quantitySchema = z.number().nonnegative();
const layerSchema = z.number().int().nonnegative();

/** What an offline query needs of a profile as `bench --json` writes it; the rest is not looked at. */
const ownProfileSchema = z.object({
  model: z.object({ name: nameTextSchema, sha256: z.string().max(64) }),
  node: z.object({ tier: tierSchema, name: nameTextSchema }),
  inputBytes: quantitySchema,
  blocks: z
    .array(
      z.object({
        firstLayer: layerSchema,
        lastLayer: layerSchema,
        medianMs: quantitySchema,
        outputBytes: quantitySchema,
        cutTensors: z
          .array(z.object({ name: z.string(), bytes: quantitySchema }))
          .max(CUT_TENSORS_MAX)
          .optional(),
      }),
    )
    .min(1)
    .max(BLOCKS_MAX),
});

/** One model in a file of Scission's measurements. */
const scissionBlocksSchema = z
  .array(
    z.object({
      inputLayer: layerSchema,
      outputLayer: layerSchema,
      seconds: quantitySchema,
      outputBytes: quantitySchema,
    }),
  )
  .min(1)
  .max(BLOCKS_MAX);

export interface MeasuredBlock {
  firstLayer: number;
  lastLayer: number;
  outputBytes: number;
  /** What crosses the cut behind the block; undefined where the format does not tell. */
  cutTensors?: readonly { name: string; bytes: number }[] | undefined;
}

/** Measured times of one model on one node. */
export interface Measurement {
  path: string;
  node: { name: string; tier: Tier };
  /** Undefined where the format has none. */
  inputBytes: number | undefined;
  blocks: readonly MeasuredBlock[];
  blockMs: readonly number[];
}

export interface MeasuredModel {
  name: string;
  /** Undefined where the format has none. */
  sha256: string | undefined;
  /** Throws PROFILE_INVALID, naming file and entry. Only a model that is asked for is looked at. */
  read(): Measurement;
}

export interface TextFile {
  path: string;
  /** The last part of the path. */
  name: string;
  text: string;
}

/**
 * The models measured in a file: a profile of this project, or measurements of Scission, whose file
 * name tells tier and node (`edge-2500.json`). A string says why the file holds neither.
 * Throws PROFILE_INVALID where it is meant to hold one and is broken.
 */
export function readMeasurements(file: TextFile): MeasuredModel[] | string {
  const isScission = scissionNode(file.name) !== undefined;
  let json: unknown;
  try {
    json = JSON.parse(file.text);
  } catch (error) {
    if (isScission) throw invalid(file.path, `not JSON: ${(error as Error).message}`);
    return "not JSON";
  }
  if (isRecord(json) && "model" in json && "blocks" in json) return [ownModel(file, json)];
  const node = scissionNode(file.name);
  if (node === undefined) {
    return "neither a profile of `scissiond bench --json` nor named <tier>-<node>.json";
  }
  if (!isRecord(json)) throw invalid(file.path, "not an object of model → blocks");
  return Object.entries(json).map(([name, blocks]) => ({
    name,
    sha256: undefined,
    read: () => scissionMeasurement(file.path, node, { name, blocks }),
  }));
}

function ownModel(file: TextFile, json: unknown): MeasuredModel {
  const profile = valid(file.path, parseValue(json, ownProfileSchema));
  const measurement: Measurement = {
    path: file.path,
    node: profile.node,
    inputBytes: profile.inputBytes,
    blocks: profile.blocks,
    blockMs: profile.blocks.map((block) => block.medianMs),
  };
  return {
    ...profile.model,
    read: () => {
      checkLayers(file.path, "blocks", measurement);
      return measurement;
    },
  };
}

function scissionMeasurement(
  path: string,
  node: Measurement["node"],
  model: { name: string; blocks: unknown },
): Measurement {
  const place = printable(model.name, 80);
  const blocks = valid(`${path}: ${place}`, parseValue(model.blocks, scissionBlocksSchema));
  const measurement: Measurement = {
    path,
    node,
    inputBytes: undefined,
    blocks: blocks.map((block) => ({
      firstLayer: block.inputLayer,
      lastLayer: block.outputLayer,
      outputBytes: block.outputBytes,
    })),
    blockMs: blocks.map((block) => block.seconds * MS_PER_SECOND),
  };
  checkLayers(path, place, measurement);
  return measurement;
}

/** `edge-2500.json` → edge, 2500. The node's name may hold hyphens and dots. */
function scissionNode(fileName: string): Measurement["node"] | undefined {
  const tier = TIERS.find((candidate) => fileName.startsWith(`${candidate}-`));
  const name = fileName.replace(/\.json$/i, "").slice((tier?.length ?? 0) + 1);
  return tier === undefined || name === "" ? undefined : { tier, name };
}

function checkLayers(path: string, place: string, { blocks }: Measurement): void {
  let next = 0;
  for (const [index, block] of blocks.entries()) {
    if (block.firstLayer !== next || block.lastLayer < next) {
      throw invalid(
        path,
        `${place}.${index}: layers ${block.firstLayer}–${block.lastLayer} must begin with layer ${next}, behind the block before; benchmark the model anew`,
      );
    }
    next = block.lastLayer + 1;
  }
}

function valid<T>(place: string, parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw invalid(place, `${parsed.message}; benchmark the model anew or remove the entry`);
}

function invalid(place: string, problem: string): AppError {
  return new AppError("PROFILE_INVALID", `${place}: ${problem}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
