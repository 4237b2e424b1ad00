import { realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ListedSidecar } from "../benchmark/index.js";
import { AppError } from "../core/index.js";
import type { Sidecar } from "../protocol/index.js";
import { isUnchanged, type ModelFile } from "./models.js";

interface Known {
  model: ModelFile;
  files: readonly (ListedSidecar & { path: string })[];
}

const MODELS_MAX = 1_000;

/** The external data of models: found in a child process, remembered while no file changes. */
export class Sidecars {
  readonly #list: (model: ModelFile, signal: AbortSignal) => Promise<ListedSidecar[]>;
  /** By the path of the model. */
  readonly #known = new Map<string, Known>();

  constructor(list: (model: ModelFile, signal: AbortSignal) => Promise<ListedSidecar[]>) {
    this.#list = list;
  }

  /** @throws AppError MODEL_CHANGED where the model is no longer what was hashed; MODEL_* | INFERENCE_* */
  async of(model: ModelFile, signal: AbortSignal): Promise<Sidecar[]> {
    const known = this.#known.get(model.path);
    if (known?.model.sha256 !== model.sha256 || !known.files.every(isSame)) {
      if (!isUnchanged(model)) {
        throw new AppError("MODEL_CHANGED", `${model.path} is no longer what it was`);
      }
      if (this.#known.size >= MODELS_MAX) this.#known.clear();
      this.#known.set(model.path, { model, files: await this.#find(model, signal) });
    }
    const files = this.#known.get(model.path)?.files ?? [];
    return files.map(({ location, bytes, sha256 }) => ({ location, bytes, sha256 }));
  }

  /** Whether any of them, as far as they are known, is no longer what it was. */
  haveChanged({ path, sha256 }: ModelFile): boolean {
    const known = this.#known.get(path);
    return known?.model.sha256 === sha256 && !known.files.every(isSame);
  }

  /** Where the file of this hash is; undefined where the model has none such, or it was changed. */
  path(modelSha256: string, sha256: string): string | undefined {
    for (const { model, files } of this.#known.values()) {
      const file = files.find((each) => each.sha256 === sha256);
      if (model.sha256 === modelSha256 && file !== undefined && isSame(file)) return file.path;
    }
    return undefined;
  }

  async #find(model: ModelFile, signal: AbortSignal): Promise<Known["files"]> {
    const listed = await this.#list(model, signal);
    // A path that is a link has its sidecars beside what it leads to.
    const directory = dirname(realpathSync(model.path));
    const files = listed.map((sidecar) => {
      return { ...sidecar, path: join(directory, sidecar.location) };
    });
    // They were changed while they were read, so that the hash may be of neither content.
    const changed = files.find((file) => !isSame(file));
    if (changed !== undefined) {
      throw new AppError("MODEL_CHANGED", `${changed.path} is being changed`);
    }
    return files;
  }
}

function isSame({ path, bytes, modifiedMs }: Known["files"][number]): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  return now?.size === bytes && now.mtimeMs === modifiedMs;
}
