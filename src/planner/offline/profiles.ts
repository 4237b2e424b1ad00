import { AppError, printable, suggestion } from "../../core/index.js";
import type { PlanningNode } from "../problem.js";
import {
  type MeasuredBlock,
  type MeasuredModel,
  type Measurement,
  readMeasurements,
  type TextFile,
} from "./measurements.js";

const NAMES_SHOWN_MAX = 20;

/** A directory of profiles, seen through one model. */
export interface ProfileSet {
  model: string;
  /** Undefined where no profile tells. */
  sha256: string | undefined;
  blocks: readonly MeasuredBlock[];
  /** Undefined where no profile tells. */
  inputBytes: number | undefined;
  nodes: readonly PlanningNode[];
  /** Remarks for people: what was left out, what looks odd. */
  notes: readonly string[];
}

/**
 * The profiles of `model` (a name, or the start of a SHA-256) in `files`. Throws PROFILE_INVALID for
 * broken or contradicting files and USAGE for a model that is not there.
 */
export function loadProfiles(files: readonly TextFile[], model: string): ProfileSet {
  const notes: string[] = [];
  const found: MeasuredModel[] = [];
  for (const file of files) {
    const models = readMeasurements(file);
    if (typeof models === "string") notes.push(`${file.path} is ignored: ${models}`);
    else if (models.some((candidate) => matches(candidate, model))) found.push(...models);
    else if (models.length > 0) notes.push(`${file.path} has no times of ${printable(model, 80)}`);
  }
  const chosen = chooseModel(found, model, files);
  const measurements = chosen.map((candidate) => candidate.read());
  const [first] = measurements;
  if (first === undefined) throw new AppError("PROFILE_INVALID", "there are no profiles");
  checkNodes(measurements);
  for (const other of measurements.slice(1)) checkSameLayout(first, other);
  notes.push(...measurements.flatMap(zeroNotes));
  return {
    model: chosen[0]?.name ?? model,
    sha256: chosen.find(({ sha256 }) => sha256 !== undefined)?.sha256,
    blocks: (measurements.find(tellsTensors) ?? first).blocks,
    inputBytes: commonInputBytes(measurements),
    nodes: measurements.map(({ node, blockMs }) => ({ ...node, blockMs })),
    notes,
  };
}

function tellsTensors({ blocks }: Measurement): boolean {
  return blocks.every(({ cutTensors }) => cutTensors !== undefined);
}

function matches(candidate: MeasuredModel, query: string): boolean {
  return candidate.name === query || isHashStart(candidate, query);
}

function isHashStart({ sha256 }: MeasuredModel, query: string): boolean {
  return query !== "" && sha256 !== undefined && sha256.startsWith(query.toLowerCase());
}

function chooseModel(
  found: readonly MeasuredModel[],
  query: string,
  files: readonly TextFile[],
): MeasuredModel[] {
  const named = found.filter((candidate) => candidate.name === query);
  const chosen = named.length > 0 ? named : found.filter((other) => isHashStart(other, query));
  const hashes = new Set(chosen.flatMap(({ sha256 }) => sha256 ?? []));
  if (hashes.size > 1) {
    const listed = [...hashes].map((sha256) => sha256.slice(0, 12)).join(", ");
    throw new AppError(
      "USAGE",
      `--model ${printable(query, 80)} means ${hashes.size} models, with SHA-256 ${listed}; give the start of one of these`,
    );
  }
  if (chosen.length === 0) throw unknownModel(query, files);
  return chosen;
}

function unknownModel(query: string, files: readonly TextFile[]): AppError {
  const names = new Set<string>();
  for (const file of files) {
    const models = readMeasurements(file);
    if (typeof models !== "string") for (const { name } of models) names.add(name);
  }
  const what = `--model ${printable(query, 80)}: no profile is of a model with this name or SHA-256`;
  if (names.size === 0) {
    return new AppError(
      "USAGE",
      `${what}; there are no profiles: write some with \`scissiond bench --json\``,
    );
  }
  const hint = suggestion(query, names);
  const known = [...names].slice(0, NAMES_SHOWN_MAX).map((name) => printable(name, 80));
  return new AppError("USAGE", `${what}${hint || `; there are ${known.join(", ")}`}`);
}

function checkNodes(measurements: readonly Measurement[]): void {
  const seen = new Map<string, Measurement>();
  for (const measurement of measurements) {
    const { name } = measurement.node;
    const other = seen.get(name);
    if (other !== undefined) {
      throw new AppError(
        "PROFILE_INVALID",
        `${other.path} and ${measurement.path} both measure node ${printable(name, 80)} (${other.node.tier}, ${measurement.node.tier}); keep one, or rename the node: links refer to names`,
      );
    }
    seen.set(name, measurement);
  }
}

function checkSameLayout(first: Measurement, other: Measurement): void {
  const mismatch = layoutMismatch(first, other);
  if (mismatch === undefined) return;
  throw new AppError(
    "PROFILE_INVALID",
    `${other.path} does not fit ${first.path}: ${mismatch}; benchmark both with the same model file and options`,
  );
}

function layoutMismatch(first: Measurement, other: Measurement): string | undefined {
  if (first.blocks.length !== other.blocks.length) {
    return `it has ${other.blocks.length} blocks, not ${first.blocks.length}`;
  }
  for (const [index, block] of first.blocks.entries()) {
    const twin = other.blocks[index];
    if (twin === undefined) continue;
    if (block.firstLayer !== twin.firstLayer || block.lastLayer !== twin.lastLayer) {
      return `block ${index} has layers ${twin.firstLayer}–${twin.lastLayer}, not ${block.firstLayer}–${block.lastLayer}`;
    }
    if (block.outputBytes !== twin.outputBytes) {
      return `block ${index} puts out ${twin.outputBytes} bytes, not ${block.outputBytes}`;
    }
  }
  return undefined;
}

function commonInputBytes(measurements: readonly Measurement[]): number | undefined {
  const told = measurements.filter(({ inputBytes }) => inputBytes !== undefined);
  const [first] = told;
  for (const other of told) {
    if (first !== undefined && other.inputBytes !== first.inputBytes) {
      throw new AppError(
        "PROFILE_INVALID",
        `${other.path} does not fit ${first.path}: its input has ${other.inputBytes} bytes, not ${first.inputBytes}; benchmark both with the same --input`,
      );
    }
  }
  return first?.inputBytes;
}

function zeroNotes({ path, blockMs }: Measurement): string[] {
  const zeros = blockMs.filter((ms) => ms === 0).length;
  if (zeros === 0) return [];
  return [`${path}: ${zeros} of ${blockMs.length} blocks took 0 ms; the clock was too coarse`];
}
