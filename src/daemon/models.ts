import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { errorMessage } from "../core/index.js";
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

/** Hashes every configured model, streaming. A file that cannot be read costs nothing but itself. */
export async function hashModels(models: readonly ModelEntry[]): Promise<HashedModels> {
  const files: ModelFile[] = [];
  const problems: string[] = [];
  for (const { name, path, inputs, maxCutTensors } of models) {
    try {
      const { size, mtimeMs } = await stat(path);
      const sha256 = await sha256Of(path);
      files.push({ name, path, inputs, maxCutTensors, bytes: size, modifiedMs: mtimeMs, sha256 });
    } catch (error) {
      problems.push(`model ${name}: ${errorMessage(error)}; reload when it is there`);
    }
  }
  return { files, problems };
}

/** False when the file has been changed or taken away since: then its hash says nothing. */
export function isUnchanged({ path, bytes, modifiedMs }: ModelFile): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now?.size === bytes && now.mtimeMs === modifiedMs;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
