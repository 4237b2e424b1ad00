import { createHash } from "node:crypto";
import { constants, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AppError, errorMessage } from "../core/index.js";
import type { InputBinding } from "../protocol/index.js";

/** A configured model and the hash of its file: the hash is its identity. */
export interface ModelFile {
  name: string;
  path: string;
  sha256: string;
  bytes: number;
  /** When the file was changed last, as it was hashed. */
  modifiedMs: number;
  inputs: readonly InputBinding[];
  /** Undefined: the daemon's default. */
  maxCutTensors: number | undefined;
}

type ModelEntry = Pick<ModelFile, "name" | "path" | "inputs"> & {
  maxCutTensors?: number | undefined;
};

export interface HashedModels {
  files: ModelFile[];
  /** Models whose file cannot be read, in plain words. */
  problems: string[];
}

/**
 * Hashes every configured model, streaming. A file that cannot be read, or is larger than any model that
 * is benchmarked here, costs nothing but itself.
 */
export async function hashModels(
  models: readonly ModelEntry[],
  bytesMax: number,
): Promise<HashedModels> {
  const files: ModelFile[] = [];
  const problems: string[] = [];
  for (const { name, path, inputs, maxCutTensors } of models) {
    try {
      const hashed = await hashFile(path, bytesMax);
      files.push({ name, path, inputs, maxCutTensors, ...hashed });
    } catch (error) {
      problems.push(`model ${name}: ${errorMessage(error)}; reload when that is mended`);
    }
  }
  return { files, problems };
}

/** False when the file has been changed or taken away since: then its hash says nothing. */
export function isUnchanged({ path, bytes, modifiedMs }: ModelFile): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now?.size === bytes && now.mtimeMs === modifiedMs;
}

/** What is no file is not waited for: a FIFO may never have a writer, and a device never ends. */
async function hashFile(
  path: string,
  bytesMax: number,
): Promise<Pick<ModelFile, "sha256" | "bytes" | "modifiedMs">> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new AppError("MODEL_UNREADABLE", `${path} is not a regular file`);
    if (found.size > bytesMax) {
      const text = `${path} has ${found.size} bytes; files of more than ${bytesMax} are not read`;
      throw new AppError("MODEL_TOO_LARGE", text);
    }
    const sha256 = await sha256Of(file, found.size);
    return { sha256, bytes: found.size, modifiedMs: found.mtimeMs };
  } finally {
    await file.close();
  }
}

/** Of so many bytes: a file that grows meanwhile ends here, and is seen to be another by its size. */
async function sha256Of(file: FileHandle, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  if (bytes === 0) return hash.digest("hex");
  const content = file.createReadStream({ start: 0, end: bytes - 1, autoClose: false });
  for await (const chunk of content) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
