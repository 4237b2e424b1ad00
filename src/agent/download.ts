import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { AppError, errorMessage, type Logger } from "../core/index.js";
import { type Credentials, request } from "../https/index.js";

export const PARTIAL_SUFFIX = ".part";

export interface Source extends Credentials {
  url: URL;
  /** What the bytes must be. */
  sha256: string;
  bytesMax: number;
  timeoutMs: number;
}

/**
 * Downloads a file to `path`, which holds all of it or does not change. What an earlier attempt left is
 * gone on with. @throws AppError DAEMON_UNREACHABLE | MODEL_TOO_LARGE | MODEL_UNREADABLE |
 * STORE_WRITE_FAILED | ABORTED
 */
export async function download(
  source: Source,
  path: string,
  deps: { log: Logger; signal: AbortSignal },
): Promise<void> {
  const { url, sha256, timeoutMs } = source;
  const { log, signal } = deps;
  const partial = path + PARTIAL_SUFFIX;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const file = await open(partial, "a+", 0o600).catch(unwritable(partial));
    try {
      await receive(source, file, { partial, signal: AbortSignal.any([signal, timeout]) });
      await file.sync().catch(unwritable(partial));
    } finally {
      await file.close();
    }
    await rename(partial, path).catch(unwritable(path));
    log.info({ sha256 }, "downloaded a file of a model");
  } catch (cause) {
    // A disk that is full has no room for half a file; what is wrong is not to be gone on with. A daemon
    // that has no answer now says nothing about what came before.
    const isWrong = cause instanceof AppError && cause.code !== "DAEMON_UNREACHABLE";
    if (isWrong || (await bytesOf(partial)) === 0) await rm(partial, { force: true });
    if (cause instanceof AppError) throw cause;
    if (signal.aborted) throw new AppError("ABORTED", "the download was given up", { cause });
    const why = timeout.aborted ? `not done within ${timeoutMs} ms` : errorMessage(cause);
    const text = `cannot download ${sha256} from ${url.origin}: ${why}; the next attempt goes on from here`;
    throw new AppError("DAEMON_UNREACHABLE", text, { cause });
  }
}

/** Appends what is missing; refuses what is too long or has another SHA-256. */
async function receive(
  source: Source,
  file: FileHandle,
  { partial, signal }: { partial: string; signal: AbortSignal },
): Promise<void> {
  const { sha256, bytesMax } = source;
  const { hash, bytes: have } = await hashOf(partial, signal);
  const { body, from } = await ask(source, have, signal);
  let running = hash;
  let bytes = from;
  if (from !== have) {
    await file.truncate(0);
    running = createHash("sha256");
  }
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) {
      throw new AppError(
        "MODEL_TOO_LARGE",
        `${sha256} has more than the ${bytesMax} bytes allowed`,
      );
    }
    running.update(chunk);
    await file.writeFile(chunk).catch(unwritable(partial));
  }
  const actual = running.digest("hex");
  if (actual !== sha256) {
    const text = `what the daemon sent for ${sha256} has the SHA-256 ${actual}`;
    throw new AppError("MODEL_UNREADABLE", text);
  }
}

async function bytesOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function hashOf(path: string, signal: AbortSignal): Promise<{ hash: Hash; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path, { signal })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).byteLength;
  }
  return { hash, bytes };
}

/** Asks for what is missing behind `have` bytes; `from` tells where the answer begins. */
async function ask(
  source: Source,
  have: number,
  signal: AbortSignal,
): Promise<{ body: AsyncIterable<Uint8Array>; from: number }> {
  const { url, token, tls, sha256 } = source;
  const headers = have === 0 ? {} : { range: `bytes=${have}-`, "if-range": `"${sha256}"` };
  const response = await request(url, { token, tls, headers, signal });
  const { statusCode } = response;
  if (statusCode === 200 || statusCode === 206) {
    return { body: response as AsyncIterable<Buffer>, from: startOf(response) };
  }
  response.destroy();
  // All of it is here already: the hash is to judge.
  if (statusCode === 416 && have > 0) return { body: nothing(), from: have };
  const text = `the daemon answers ${statusCode ?? "nothing"} for ${sha256}`;
  throw new AppError("DAEMON_UNREACHABLE", text);
}

function startOf({ statusCode, headers }: IncomingMessage): number {
  if (statusCode !== 206) return 0;
  const match = /^bytes (\d{1,15})-/.exec(headers["content-range"] ?? "");
  return Number(match?.[1] ?? 0);
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function unwritable(path: string): (cause: unknown) => never {
  return (cause) => {
    throw new AppError("STORE_WRITE_FAILED", `cannot write ${path}: ${errorMessage(cause)}`, {
      cause,
    });
  };
}
