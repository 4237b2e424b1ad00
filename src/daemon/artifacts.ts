import { existsSync } from "node:fs";
import { mkdir, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../core/index.js";
import type { Partition, PlanDocument, TensorInfo } from "../protocol/index.js";
import { isUnchanged, type ModelFile } from "./models.js";

export interface LayerRange {
  firstLayer: number;
  lastLayer: number;
}

/** A sub-model on disk, addressed by its hash. */
export interface Artifact {
  sha256: string;
  bytes: number;
  /** Of the model's external data, which is inside; absent where it has none. */
  externalSha256?: string | undefined;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
}

interface WantedModel extends ModelFile {
  externalSha256: string | undefined;
}

type Extract = (model: ModelFile, range: LayerRange, destination: string) => Promise<Artifact>;

const ARTIFACT_FILE = /^[0-9a-f]{64}\.onnx$/;

/**
 * Sub-models of published partitions: made once, kept in a bounded cache on disk, found by hash.
 * What is named by a plan in force is never evicted.
 */
export class Artifacts {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #extract: Extract;
  readonly #byRange = new Map<string, Artifact>();
  /** Under way; whoever asks meanwhile gets the same one. */
  readonly #making = new Map<string, Promise<Artifact>>();

  private constructor(directory: string, bytesMax: number, extract: Extract) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
    this.#extract = extract;
  }

  static async open(
    options: { directory: string; bytesMax: number },
    extract: Extract,
  ): Promise<Artifacts> {
    await mkdir(options.directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(options.directory)) {
      if (!ARTIFACT_FILE.test(name)) await unlink(join(options.directory, name));
    }
    return new Artifacts(options.directory, options.bytesMax, extract);
  }

  /** Partitions of a plan that survived a restart need no second extraction. */
  remember(
    { model, externalSha256 }: Pick<PlanDocument, "model" | "externalSha256">,
    partition: Partition,
  ): void {
    const { sha256, bytes } = partition.artifact;
    const { inputs, outputs } = partition;
    const key = rangeKey({ sha256: model.sha256, externalSha256 }, partition);
    this.#byRange.set(key, { sha256, bytes, externalSha256, inputs, outputs });
  }

  /**
   * The sub-model of these layers, extracted in a child process if it is not at hand.
   * @param externalSha256 of the external data with which the model was benchmarked
   * @throws AppError MODEL_CHANGED where the file, or what lies beside it, is no longer that model; what
   * the extraction throws
   */
  async ensure(model: ModelFile, range: LayerRange, externalSha256?: string): Promise<Artifact> {
    const wanted = { ...model, externalSha256 };
    const key = rangeKey(wanted, range);
    const known = this.#byRange.get(key);
    // At once: a plan that is known already waits for no thread that reads the disk.
    if (known !== undefined && existsSync(this.path(known.sha256))) return known;

    let making = this.#making.get(key);
    if (making === undefined) {
      making = this.#make(wanted, range).finally(() => this.#making.delete(key));
      this.#making.set(key, making);
    }
    return making;
  }

  async #make(model: WantedModel, range: LayerRange): Promise<Artifact> {
    const name = `${range.firstLayer}-${range.lastLayer}.${model.sha256.slice(0, 16)}.part`;
    const temporary = join(this.#directory, name);
    const before = changeOf(model, model);
    if (before !== undefined) throw before;
    const artifact = await this.#extract(model, range, temporary);
    const change = changeOf(model, artifact);
    if (change !== undefined) {
      await unlink(temporary);
      throw change;
    }
    await rename(temporary, this.path(artifact.sha256));
    this.#byRange.set(rangeKey(model, range), artifact);
    return artifact;
  }

  /** Whether this is the hash of a sub-model of that model. */
  has(modelSha256: string, sha256: string): boolean {
    for (const [key, artifact] of this.#byRange) {
      if (artifact.sha256 === sha256 && key.startsWith(modelSha256)) return true;
    }
    return false;
  }

  path(sha256: string): string {
    return join(this.#directory, `${sha256}.onnx`);
  }

  /** Removes the oldest files beyond the limit, but none that is in use. */
  async prune(inUse: ReadonlySet<string>): Promise<void> {
    const files = [];
    for (const name of await readdir(this.#directory)) {
      if (!ARTIFACT_FILE.test(name)) continue;
      const { size, mtimeMs } = await stat(join(this.#directory, name));
      files.push({ name, size, mtimeMs });
    }
    let bytes = files.reduce((sum, file) => sum + file.size, 0);
    for (const file of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      if (bytes <= this.#bytesMax) return;
      if (inUse.has(file.name.slice(0, 64))) continue;
      await unlink(join(this.#directory, file.name));
      bytes -= file.size;
    }
  }
}

/** Layers of another file must not be served as this model's, beside others that are. */
function changeOf(
  model: WantedModel,
  { externalSha256 }: Pick<Artifact, "externalSha256">,
): AppError | undefined {
  const { path } = model;
  if (!isUnchanged(model)) {
    return new AppError("MODEL_CHANGED", `${path} is no longer what it was; reload to take it`);
  }
  if (externalSha256 === model.externalSha256) return undefined;
  const text = `what lies beside ${path} is not what was benchmarked; have it benchmarked anew`;
  return new AppError("MODEL_CHANGED", text);
}

function rangeKey(
  { sha256, externalSha256 = "" }: Pick<WantedModel, "sha256" | "externalSha256">,
  range: LayerRange,
): string {
  return `${sha256} ${externalSha256} ${range.firstLayer}-${range.lastLayer}`;
}
