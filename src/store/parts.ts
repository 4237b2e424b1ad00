import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { z } from "zod";
import { errorMessage } from "../core/index.js";
import { type Parsed, parseJson } from "../protocol/index.js";
import { removeTemporaryFiles, replaceFiles, syncDirectory } from "./atomic-file.js";
import { checksum } from "./checksum.js";
import { readBounded, setAside } from "./read-file.js";

const DIRECTORY = "parts";
const PART_FILE = /^([0-9a-f]{64})\.json$/;
const OWNER_ONLY = 0o700;

export interface PartFilesOptions {
  /** Of the state; the parts have a directory of their own in it. */
  directory: string;
  fileBytesMax: number;
  nowMs: () => number;
  newId: () => string;
}

/**
 * Records that never change, each in a file named by the SHA-256 of its text: written once, then only
 * named by the state, so that a new plan costs no writing of old profiles.
 */
export class PartFiles {
  readonly #options: PartFilesOptions;
  readonly #directory: string;
  readonly #onDisk = new Set<string>();

  constructor(options: PartFilesOptions) {
    this.#options = options;
    this.#directory = join(options.directory, DIRECTORY);
  }

  has(sha256: string): boolean {
    return this.#onDisk.has(sha256);
  }

  /** What a part holds, or what was wrong with it and what was done about that. */
  async read<T>(sha256: string, schema: z.ZodType<T>): Promise<Parsed<T>> {
    const name = `${sha256}.json`;
    const parsed = await this.#tryRead(name, sha256, schema);
    if (parsed.ok) {
      this.#onDisk.add(sha256);
      return parsed;
    }
    const done = await setAside(this.#directory, name, this.#options.nowMs());
    return { ok: false, message: `${join(DIRECTORY, name)} (${parsed.message}), ${done}` };
  }

  /** Makes these parts safe on disk, by their SHA-256. */
  async write(parts: ReadonlyMap<string, Buffer>): Promise<void> {
    if (parts.size === 0) return;
    const { directory, fileBytesMax, newId } = this.#options;
    const files = new Map([...parts].map(([sha256, part]) => [`${sha256}.json`, part]));
    for (const part of files.values()) {
      if (part.byteLength <= fileBytesMax) continue;
      throw new Error(`a record is larger than store.fileBytesMax (${fileBytesMax} bytes)`);
    }
    if ((await mkdir(this.#directory, { recursive: true, mode: OWNER_ONLY })) !== undefined) {
      await syncDirectory(directory);
    }
    await replaceFiles(this.#directory, files, newId);
    for (const sha256 of parts.keys()) this.#onDisk.add(sha256);
  }

  /** Removes parts that the state on disk names no more. One that stays only takes room. */
  async keepOnly(named: ReadonlySet<string>): Promise<void> {
    for (const sha256 of this.#onDisk) {
      if (named.has(sha256)) continue;
      this.#onDisk.delete(sha256);
      await this.#remove(`${sha256}.json`);
    }
  }

  /** Removes what writers that were killed left behind. Call it only when the state was read whole. */
  async sweep(named: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#directory).catch(() => []);
    if (names.length > 0) await removeTemporaryFiles(this.#directory, "");
    for (const name of names) {
      const sha256 = PART_FILE.exec(name)?.[1];
      if (sha256 !== undefined && !named.has(sha256)) await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    await rm(join(this.#directory, name), { force: true }).catch(() => undefined);
  }

  async #tryRead<T>(name: string, sha256: string, schema: z.ZodType<T>): Promise<Parsed<T>> {
    try {
      const text = await readBounded(join(this.#directory, name), this.#options.fileBytesMax);
      if (checksum(text) !== sha256) return { ok: false, message: "its checksum is wrong" };
      return parseJson(text, schema);
    } catch (error) {
      return { ok: false, message: errorMessage(error) };
    }
  }
}
