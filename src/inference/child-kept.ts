import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { AppError, errorMessage } from "../core/index.js";
import { withInputsOf } from "../model/index.js";
import {
  type InputBinding,
  kernelOrderSchema,
  parseJson,
  sha256Schema,
} from "../protocol/index.js";
import { sha256Of } from "./child-files.js";
import { openSession, type Session, WEIGHTS_FILE } from "./child-session.js";
import type { ChildConfig, LayerRange, OpenedModel } from "./messages.js";

/** Of what is kept: another one is not understood. */
const VERSION = 1;
const GRAPH_FILE = "graph.onnx";
const NOTE_FILE = "note.json";
const DRAFT_PREFIX = "draft-";
/** A draft that is older belongs to a process that was killed. */
const DRAFT_MS_MAX = 3_600_000;
/** Nothing is kept where less is free than so often what may be kept: how large it gets shows afterwards. */
const FREE_SHARE_MIN = 4;

const noteSchema = z.strictObject({
  /** Inputs and layers of the whole model. */
  model: z.strictObject({
    inputs: z.array(
      z.strictObject({
        name: z.string(),
        dtype: z.string().nullable(),
        shape: z.array(z.union([z.number(), z.string(), z.null()])).nullable(),
      }),
    ),
    layers: z.number().int().nonnegative(),
  }),
  graphSha256: sha256Schema,
  weightsBytes: z.number().int().nonnegative(),
  /** Of the whole model: the block of each kernel, for the benchmark that knows its kernels by this order. */
  kernels: z
    .strictObject({
      order: kernelOrderSchema,
      blockOf: z.array(z.tuple([z.string(), z.number()])),
    })
    .optional(),
});
type Note = z.infer<typeof noteSchema>;
export type KeptModel = Note["model"];
type KeptKernels = NonNullable<Note["kernels"]>;

/** The whole model or a range of its layers. */
export type KeptPart = "whole" | LayerRange;

/** What is being written, until it is kept or dropped. */
export interface Draft {
  /** Where ONNX Runtime has to write what its optimiser makes of the graph. */
  readonly optimisedModelPath: string;
  /** Keeps what was written; a disk that is full costs no more than that. */
  commit(noted: { model: KeptModel; inputs: ReadonlySet<string>; kernels?: KeptKernels }): void;
  drop(): void;
}

/**
 * What ONNX Runtime's optimiser made of a model and its parts, on disk, with the weights in a file of their
 * own that is mapped into memory: so it opens in a tenth of the time, which for most models is longer than
 * several runs, and the model itself need not even be decoded.
 *
 * Only what is opened again is kept. Nothing here is needed: what is damaged or missing is made anew.
 */
export interface Kept {
  /** What was noted of the model with one of its parts. */
  model(): KeptModel | undefined;
  kernels(): KeptKernels | undefined;
  /** @throws AppError INFERENCE_FAILED where nothing is kept, or what is damaged, which is forgotten then */
  open(part: KeptPart, options?: { profilePrefix?: string }): Promise<Session>;
  /**
   * Undefined where it may not be kept.
   * @param bytes of the part as it is; what the optimiser makes of it is hardly smaller
   */
  draft(part: KeptPart, bytes: number): Draft | undefined;
  forget(part: KeptPart): void;
}

/** @param about what the optimised graphs depend on, beside this program */
export function openKept(
  config: ChildConfig,
  about: Pick<OpenedModel, "environment"> & { sha256: string; inputs: readonly InputBinding[] },
): Kept | undefined {
  const { keep } = config;
  if (keep === undefined) return undefined;
  if (keep.bytesMax === 0) {
    // From before, when something might be kept.
    remove(keep.directory);
    return undefined;
  }
  const key = createHash("sha256")
    .update(JSON.stringify([VERSION, about.sha256, about.environment, about.inputs]))
    .digest("hex");
  const placeOf = (part: KeptPart): string =>
    join(
      keep.directory,
      `${key}-${part === "whole" ? part : `${part.firstLayer}-${part.lastLayer}`}`,
    );
  return {
    model() {
      const parts = listOf(keep.directory).filter((name) => name.startsWith(key));
      for (const name of parts) {
        const note = readNote(join(keep.directory, name));
        if (note !== undefined) return note.model;
      }
      return undefined;
    },
    kernels: () => readNote(placeOf("whole"))?.kernels,
    async open(part, options = {}) {
      const directory = placeOf(part);
      try {
        const place = { ...config, externalDirectory: directory };
        const how = { ...options, optimisation: "disabled" } as const;
        return await openSession(readGraph(directory), place, how);
      } catch (cause) {
        remove(directory);
        const text = `what was kept cannot be used: ${errorMessage(cause)}`;
        throw new AppError("INFERENCE_FAILED", text, { cause });
      }
    },
    draft: (part, bytes) => (bytes > keep.bytesMax ? undefined : beginDraft(keep, placeOf(part))),
    forget: (part) => remove(placeOf(part)),
  };
}

/** With a draft, or, where that fails, without: a full disk must not be the model's fault. */
export async function keeping<T>(
  draft: Draft | undefined,
  use: (draft: Draft | undefined) => Promise<T>,
): Promise<T> {
  if (draft === undefined) return use(undefined);
  try {
    return await use(draft);
  } catch {
    draft.drop();
    return use(undefined);
  }
}

function beginDraft(keep: NonNullable<ChildConfig["keep"]>, place: string): Draft | undefined {
  let directory: string;
  try {
    mkdirSync(keep.directory, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = statfsSync(keep.directory);
    if (bavail * bsize < FREE_SHARE_MIN * keep.bytesMax) return undefined;
    directory = mkdtempSync(join(keep.directory, DRAFT_PREFIX));
  } catch {
    return undefined;
  }
  const optimisedModelPath = join(directory, GRAPH_FILE);
  return {
    optimisedModelPath,
    commit({ inputs, ...noted }) {
      try {
        const graph = withInputsOf(readFileSync(optimisedModelPath), inputs);
        writeFileSync(optimisedModelPath, graph);
        const weightsBytes = sizeOf(join(directory, WEIGHTS_FILE));
        const note: Note = { ...noted, graphSha256: sha256Of(graph), weightsBytes };
        writeFileSync(join(directory, NOTE_FILE), JSON.stringify(note));
        remove(place);
        renameSync(directory, place);
        makeRoom(keep);
      } catch {
        remove(directory);
      }
    },
    drop: () => remove(directory),
  };
}

/** The graph, if all of it is as it was written. Of the weights, on which no time depends, the length. */
function readGraph(directory: string): Uint8Array {
  const note = readNote(directory);
  if (note === undefined) throw new Error("it is missing");
  const graph = readFileSync(join(directory, GRAPH_FILE));
  const isWhole =
    sha256Of(graph) === note.graphSha256 &&
    sizeOf(join(directory, WEIGHTS_FILE)) === note.weightsBytes;
  if (!isWhole) throw new Error("it is damaged");
  // What was used last is deleted last.
  utimesSync(directory, new Date(), new Date());
  return graph;
}

function readNote(directory: string): Note | undefined {
  try {
    const parsed = parseJson(readFileSync(join(directory, NOTE_FILE), "utf8"), noteSchema);
    return parsed.ok ? parsed.value : undefined;
  } catch {
    return undefined;
  }
}

/** Deletes what was unused the longest until the rest fits, and what killed processes left. */
function makeRoom({ directory, bytesMax }: NonNullable<ChildConfig["keep"]>): void {
  const entries = listOf(directory).map((name) => {
    const path = join(directory, name);
    const bytes = listOf(path).reduce((sum, file) => sum + sizeOf(join(path, file)), 0);
    // Another process may just have deleted it.
    const usedAtMs = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return { path, bytes, usedAtMs, isDraft: name.startsWith(DRAFT_PREFIX) };
  });
  entries.sort((a, b) => a.usedAtMs - b.usedAtMs);
  let excess = entries.reduce((sum, { bytes }) => sum + bytes, 0) - bytesMax;
  for (const { path, bytes, usedAtMs, isDraft } of entries) {
    const isStray = isDraft && Date.now() - usedAtMs > DRAFT_MS_MAX;
    if (!isStray && (excess <= 0 || isDraft)) continue;
    remove(path);
    excess -= bytes;
  }
}

/** Nothing where there is no directory, or none that we may read. */
function listOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Somebody else's, or on a disk that has become read-only: no benchmark fails for it.
  }
}
