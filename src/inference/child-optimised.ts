import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type GraphOutline, type OnnxModel, outlineOf, withNamedLayers } from "../model/index.js";
import type { Draft } from "./child-kept.js";
import { openSession, type Session, WEIGHTS_FILE } from "./child-session.js";
import type { ChildConfig } from "./messages.js";

const PROFILE_PREFIX = "profile";
/** Loops write an event for every kernel of every turn. */
const PROFILE_BYTES_MAX = 64 * 1024 * 1024;

/** A session of the whole model as a user would have it, under ONNX Runtime's profiler. */
export interface ProfiledSession {
  session: Session;
  /** How long it took to open. */
  openMs: number;
  /** The profile of the runs so far, as JSON; later runs are not profiled. Undefined if it is too long. */
  endProfiling: () => string | undefined;
}

export interface SessionWithGraph extends ProfiledSession {
  /** The graph that it runs, its layers named by `withNamedLayers`. */
  graph: GraphOutline;
}

/**
 * What ONNX Runtime makes of a model. Loading one often takes longer than ten runs, so what was
 * loaded to learn of fusions is kept for the measurement.
 */
export interface Optimised {
  /** Loads the whole model, or hands out what is loaded. */
  whole(): Promise<SessionWithGraph>;
  /** The same, for good: the next call of `whole` loads anew. */
  take(): Promise<SessionWithGraph>;
  /**
   * What is loaded, or a session whose graph nobody asked for: it loads in half the time.
   * @param draft where the optimised graph is to be written
   */
  takeSession(draft: Draft | undefined): Promise<ProfiledSession>;
  /** The graph with further tensors as outputs; the last one is kept. */
  split(tensors: readonly string[]): Promise<GraphOutline>;
}

export function createOptimised(model: () => OnnxModel, config: ChildConfig): Optimised {
  let whole: Promise<SessionWithGraph> | undefined;
  let split: { key: string; graph: GraphOutline } | undefined;
  const load = (): Promise<SessionWithGraph> => {
    whole ??= openWithGraph(withNamedLayers(model(), []), config);
    return whole;
  };
  const take = async (): Promise<SessionWithGraph> => {
    const taken = await load();
    whole = undefined;
    return taken;
  };
  return {
    whole: load,
    take,
    takeSession(draft) {
      if (whole !== undefined) return take();
      const bytes = withNamedLayers(model(), []);
      const written = draft && { optimisedModelPath: draft.optimisedModelPath };
      return underProfiler(config, (_, profiling) =>
        openSession(bytes, config, { ...profiling, ...written, optimisation: "all" }),
      );
    },
    async split(tensors) {
      const key = JSON.stringify(tensors);
      if (split?.key !== key) {
        split = { key, graph: await optimise(withNamedLayers(model(), tensors), "all", config) };
      }
      return split.graph;
    },
  };
}

async function openWithGraph(bytes: Uint8Array, config: ChildConfig): Promise<SessionWithGraph> {
  let optimisedModelPath = "";
  const opened = await underProfiler(config, (directory, profiling) => {
    optimisedModelPath = join(directory, "model.onnx");
    return openSession(bytes, config, { ...profiling, optimisedModelPath, optimisation: "all" });
  });
  return { ...opened, graph: outlineOf(readFileSync(optimisedModelPath)) };
}

/** The session that `open` opens, with a directory for what it writes, which `endProfiling` removes. */
export async function underProfiler(
  config: ChildConfig,
  open: (directory: string, options: { profilePrefix: string }) => Promise<Session>,
): Promise<ProfiledSession> {
  const directory = makeScratch(config);
  const startedAtMs = performance.now();
  try {
    const session = await open(directory, { profilePrefix: join(directory, PROFILE_PREFIX) });
    return {
      session,
      openMs: performance.now() - startedAtMs,
      endProfiling() {
        session.endProfiling();
        const text = readProfile(directory);
        rmSync(directory, { recursive: true, force: true });
        return text;
      },
    };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/**
 * The graph that ONNX Runtime makes of a model. Its weights are dropped.
 * @throws AppError INFERENCE_FAILED
 */
export async function optimise(
  bytes: Uint8Array,
  optimisation: "extended" | "all",
  config: ChildConfig,
): Promise<GraphOutline> {
  const directory = makeScratch(config);
  try {
    const optimisedModelPath = join(directory, "model.onnx");
    const session = await openSession(bytes, config, {
      optimisation,
      optimisedModelPath,
      skipPrepacking: true,
    });
    await session.release();
    return outlineOf(readFileSync(optimisedModelPath));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A directory for what ONNX Runtime writes; it goes with the child's own if not before. */
function makeScratch(config: ChildConfig): string {
  const directory = mkdtempSync(join(config.temporaryDirectory, "optimised-"));
  // Folded constants can be gigabytes that nobody reads: they are written to nowhere.
  symlinkSync("/dev/null", join(directory, WEIGHTS_FILE));
  return directory;
}

function readProfile(directory: string): string | undefined {
  const name = readdirSync(directory).find((file) => file.startsWith(PROFILE_PREFIX));
  if (name === undefined) return undefined;
  const path = join(directory, name);
  return statSync(path).size > PROFILE_BYTES_MAX ? undefined : readFileSync(path, "utf8");
}
