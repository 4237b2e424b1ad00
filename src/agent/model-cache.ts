import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError, type Clock, errorMessage, type Logger } from "../core/index.js";
import type { TlsOptions } from "../https/index.js";
import { whatIsWrongWithLocation } from "../model/index.js";
import { type ModelRef, type Sidecar, sha256Schema } from "../protocol/index.js";
import { download, PARTIAL_SUFFIX } from "./download.js";

const MODEL_SUFFIX = ".onnx";
/** Enough of a SHA-256 to tell models apart where the name is not known. */
const SHORT_SHA256_LENGTH = 12;

export interface ModelCacheOptions {
  directory: string;
  /** The daemon's HTTP server. */
  daemonUrl: string;
  daemonToken?: string;
  daemonTls: TlsOptions;
  limits: { modelBytesMax: number; cacheBytesMax: number; downloadTimeoutMs: number };
}

interface ModelCacheDeps {
  log: Logger;
  clock: Clock;
}

/** A model and the files beside it that hold weights of it. */
export interface WantedModel extends ModelRef {
  sidecars?: readonly Sidecar[] | undefined;
}

/** Models on disk, each under its SHA-256; what is missing is downloaded from the daemon. */
export interface ModelCache {
  models(): ModelRef[];
  /**
   * The path of a model whose bytes, and those of its sidecars beside it, have been checked against their
   * SHA-256. DAEMON_UNREACHABLE, MODEL_TOO_LARGE, MODEL_UNREADABLE, STORE_WRITE_FAILED, ABORTED.
   */
  fetch(model: WantedModel, signal: AbortSignal): Promise<string>;
}

/**
 * A model without sidecars is the file `<sha256>.onnx`; one with sidecars has a directory `<sha256>` to
 * itself, since it names them relative to its own place. STORE_WRITE_FAILED.
 */
export async function openModelCache(
  options: ModelCacheOptions,
  deps: ModelCacheDeps,
): Promise<ModelCache> {
  const { directory } = options;
  await makeDirectory(directory);
  const known = new Map<string, ModelRef>();
  for (const entry of await readdir(directory)) {
    const sha256 = sha256Of(entry);
    if (sha256 !== undefined)
      known.set(sha256, { name: sha256.slice(0, SHORT_SHA256_LENGTH), sha256 });
    else if (isStrayPartial(entry)) await rm(join(directory, entry), { force: true });
  }
  return {
    models: () => [...known.values()],
    fetch: async (model, signal) => {
      const { name, sha256, sidecars = [] } = model;
      const entry = join(directory, sidecars.length === 0 ? sha256 + MODEL_SUFFIX : sha256);
      const path = sidecars.length === 0 ? entry : join(entry, sha256 + MODEL_SUFFIX);
      for (const file of filesOf(model, path)) await provide(file, { options, deps, signal });
      known.set(sha256, { name, sha256 });
      const now = new Date(deps.clock.nowMs());
      await utimes(entry, now, now);
      for (const gone of await evict(directory, options.limits.cacheBytesMax, sha256)) {
        known.delete(gone);
      }
      return path;
    },
  };
}

interface WantedFile {
  path: string;
  sha256: string;
  /** Of the daemon's HTTP server. */
  urlPath: string;
}

/** The model's file and its sidecars. The names of those are hostile until they are checked here. */
function filesOf({ sha256, sidecars = [] }: WantedModel, path: string): WantedFile[] {
  const url = `/api/v1/models/${sha256}`;
  const directory = dirname(path);
  return [
    { path, sha256, urlPath: url },
    ...sidecars.map((sidecar) => {
      const wrong = whatIsWrongWithLocation(sidecar.location);
      const own = join(directory, sidecar.location);
      if (wrong !== undefined || own === path || own.startsWith(`${path}/`)) {
        const text = `the name of a file beside the model ${wrong ?? "is that of the model"}`;
        throw new AppError("MODEL_UNREADABLE", text);
      }
      return { path: own, sha256: sidecar.sha256, urlPath: `${url}/sidecars/${sidecar.sha256}` };
    }),
  ];
}

async function provide(
  { path, sha256, urlPath }: WantedFile,
  context: { options: ModelCacheOptions; deps: ModelCacheDeps; signal: AbortSignal },
): Promise<void> {
  const { options, deps, signal } = context;
  if (await holds(path, sha256, signal)) return;
  await makeDirectory(dirname(path));
  await download(
    {
      url: new URL(urlPath, options.daemonUrl),
      token: options.daemonToken,
      tls: options.daemonTls,
      sha256,
      bytesMax: options.limits.modelBytesMax,
      timeoutMs: options.limits.downloadTimeoutMs,
    },
    path,
    { log: deps.log, signal },
  );
}

function sha256Of(entry: string): string | undefined {
  const sha256 = entry.endsWith(MODEL_SUFFIX) ? entry.slice(0, -MODEL_SUFFIX.length) : entry;
  return sha256Schema.safeParse(sha256).success ? sha256 : undefined;
}

/** What a download of a model left that was stopped stays: the next one goes on with it. */
function isStrayPartial(entry: string): boolean {
  return entry.endsWith(PARTIAL_SUFFIX) && sha256Of(withoutPartialSuffix(entry)) === undefined;
}

function withoutPartialSuffix(entry: string): string {
  return entry.endsWith(PARTIAL_SUFFIX) ? entry.slice(0, -PARTIAL_SUFFIX.length) : entry;
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const text = `cannot make ${path}: ${errorMessage(cause)}`;
    throw new AppError("STORE_WRITE_FAILED", text, { cause });
  }
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

/** Deletes what was unused the longest until all fits, but never `keep`; returns the deleted models. */
async function evict(directory: string, bytesMax: number, keep: string): Promise<string[]> {
  const entries: { sha256: string; path: string; bytes: number; usedAtMs: number }[] = [];
  for (const entry of await readdir(directory)) {
    const sha256 = sha256Of(withoutPartialSuffix(entry));
    if (sha256 === undefined) continue;
    const path = join(directory, entry);
    const { mtimeMs } = await stat(path);
    entries.push({ sha256, path, bytes: await bytesIn(path), usedAtMs: mtimeMs });
  }
  let excess = entries.reduce((sum, { bytes }) => sum + bytes, 0) - bytesMax;
  const gone: string[] = [];
  for (const entry of entries.sort((a, b) => a.usedAtMs - b.usedAtMs)) {
    if (excess <= 0) break;
    if (entry.sha256 === keep) continue;
    await rm(entry.path, { recursive: true, force: true });
    excess -= entry.bytes;
    gone.push(entry.sha256);
  }
  return gone;
}

async function bytesIn(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size;
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
