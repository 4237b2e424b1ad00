import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { stat } from "node:fs/promises";
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

/** Hashes every configured model, streaming; a file that cannot be read is an error that names it. */
export async function hashModels(models: readonly ModelEntry[]): Promise<ModelFile[]> {
  const files: ModelFile[] = [];
  for (const { name, path, inputs, maxCutTensors } of models) {
    try {
      const { size, mtimeMs } = await stat(path);
      const sha256 = await sha256Of(path);
      files.push({ name, path, inputs, maxCutTensors, bytes: size, modifiedMs: mtimeMs, sha256 });
    } catch (cause) {
      throw new AppError(
        "MODEL_UNREADABLE",
        `model ${name}: cannot read ${path} (${errorMessage(cause)})`,
        { cause },
      );
    }
  }
  return files;
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
