import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { AppError, type Clock, errorMessage, type Logger } from "../core/index.js";
import { type ModelRef, sha256Schema } from "../protocol/index.js";

const MODEL_SUFFIX = ".onnx";
const PARTIAL_SUFFIX = ".part";
/** Enough of a SHA-256 to tell models apart where the name is not known. */
const SHORT_SHA256_LENGTH = 12;

export interface ModelCacheOptions {
  modelsDirectory: string;
  /** The daemon's HTTP server. */
  daemonUrl: string;
  daemonToken?: string;
  limits: { modelBytesMax: number; cacheBytesMax: number; downloadTimeoutMs: number };
}

interface ModelCacheDeps {
  log: Logger;
  clock: Clock;
}

/** Models on disk, each under its SHA-256; what is missing is downloaded from the daemon. */
export interface ModelCache {
  models(): ModelRef[];
  /**
   * The path of a model whose bytes have been checked against its SHA-256.
   * DAEMON_UNREACHABLE, MODEL_TOO_LARGE, MODEL_UNREADABLE, ABORTED.
   */
  fetch(model: ModelRef, signal: AbortSignal): Promise<string>;
}

export async function openModelCache(
  options: ModelCacheOptions,
  deps: ModelCacheDeps,
): Promise<ModelCache> {
  const { modelsDirectory: directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const known = new Map<string, ModelRef>();
  for (const file of await readdir(directory)) {
    if (file.endsWith(PARTIAL_SUFFIX)) await rm(join(directory, file), { force: true });
    const sha256 = sha256Of(file);
    if (sha256 !== undefined)
      known.set(sha256, { name: sha256.slice(0, SHORT_SHA256_LENGTH), sha256 });
  }
  return {
    models: () => [...known.values()],
    fetch: async (model, signal) => {
      const path = join(directory, `${model.sha256}${MODEL_SUFFIX}`);
      if (!(await holds(path, model.sha256, signal))) {
        await download(model, { path, options, deps, signal });
      }
      known.set(model.sha256, model);
      const now = new Date(deps.clock.nowMs());
      await utimes(path, now, now);
      for (const gone of await evict(directory, options.limits.cacheBytesMax, model.sha256)) {
        known.delete(gone);
      }
      return path;
    },
  };
}

function sha256Of(file: string): string | undefined {
  if (!file.endsWith(MODEL_SUFFIX)) return undefined;
  const sha256 = file.slice(0, -MODEL_SUFFIX.length);
  return sha256Schema.safeParse(sha256).success ? sha256 : undefined;
}

/** Whether the file is there with the right bytes; disks forget, and a name proves nothing. */
async function holds(path: string, sha256: string, signal: AbortSignal): Promise<boolean> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Buffer);
  } catch (cause) {
    if (signal.aborted) throw new AppError("ABORTED", `reading ${path} was given up`, { cause });
    return false;
  }
  return hash.digest("hex") === sha256;
}

async function download(
  model: ModelRef,
  context: { path: string; options: ModelCacheOptions; deps: ModelCacheDeps; signal: AbortSignal },
): Promise<void> {
  const { path, options, deps, signal } = context;
  const partial = `${path}${PARTIAL_SUFFIX}`;
  const url = new URL(`/api/v1/models/${model.sha256}`, options.daemonUrl);
  const timeout = AbortSignal.timeout(options.limits.downloadTimeoutMs);
  const either = AbortSignal.any([signal, timeout]);
  try {
    const { daemonToken } = options;
    const response = await fetch(url, {
      signal: either,
      redirect: "error",
      headers: daemonToken === undefined ? {} : { authorization: `Bearer ${daemonToken}` },
    });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      const text = `the daemon answers ${response.status} for the model ${model.sha256}`;
      throw new AppError("DAEMON_UNREACHABLE", text);
    }
    await save(response.body, { partial, model, bytesMax: options.limits.modelBytesMax });
    await rename(partial, path);
    deps.log.info({ sha256: model.sha256 }, "downloaded a model");
  } catch (cause) {
    await rm(partial, { force: true });
    if (cause instanceof AppError) throw cause;
    if (signal.aborted) throw new AppError("ABORTED", "the download was given up", { cause });
    const why = timeout.aborted
      ? `not done within ${options.limits.downloadTimeoutMs} ms`
      : describe(cause);
    const text = `cannot download the model ${model.sha256} from ${url.origin}: ${why}`;
    throw new AppError("DAEMON_UNREACHABLE", text, { cause });
  }
}

/** Writes the body to a file and onto the disk; refuses what is too long or has another SHA-256. */
async function save(
  body: ReadableStream<Uint8Array>,
  { partial, model, bytesMax }: { partial: string; model: ModelRef; bytesMax: number },
): Promise<void> {
  const hash = createHash("sha256");
  const file = await open(partial, "w", 0o600);
  try {
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.byteLength;
      if (bytes > bytesMax) {
        const text = `the model ${model.sha256} has more than limits.modelBytesMax = ${bytesMax} bytes`;
        throw new AppError("MODEL_TOO_LARGE", text);
      }
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    const actual = hash.digest("hex");
    if (actual !== model.sha256) {
      const text = `what the daemon sent for the model ${model.sha256} has the SHA-256 ${actual}`;
      throw new AppError("MODEL_UNREADABLE", text);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Deletes the models that were unused the longest until all fit, but never `keep`; returns the deleted. */
async function evict(directory: string, bytesMax: number, keep: string): Promise<string[]> {
  const files: { sha256: string; path: string; bytes: number; usedAtMs: number }[] = [];
  for (const file of await readdir(directory)) {
    const sha256 = sha256Of(file);
    if (sha256 === undefined) continue;
    const path = join(directory, file);
    const { size, mtimeMs } = await stat(path);
    files.push({ sha256, path, bytes: size, usedAtMs: mtimeMs });
  }
  let excess = files.reduce((sum, { bytes }) => sum + bytes, 0) - bytesMax;
  const gone: string[] = [];
  for (const file of files.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (excess <= 0) break;
    if (file.sha256 === keep) continue;
    await rm(file.path, { force: true });
    excess -= file.bytes;
    gone.push(file.sha256);
  }
  return gone;
}

/** `fetch` hides the reason ("ECONNREFUSED") in its error's cause. */
function describe(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? errorMessage(error) : errorMessage(cause);
}
