import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, errorMessage } from "../core/index.js";
import { readBounded } from "./read-file.js";

const OWNER_ONLY = 0o600;
const SUFFIX = ".json";
const TEMPORARY_SUFFIX = ".part";
const NAME = /^[a-z0-9-]{1,100}$/;

export interface JsonFilesOptions {
  directory: string;
  /** The ones written longest ago give way. */
  filesMax: number;
  bytesMax: number;
}

/**
 * JSON documents of which each may be lost without harm, each in a file of its own. A process that is
 * killed leaves the old or the new content whole; after a power cut a document may be gone.
 */
export interface JsonFiles {
  names(): Promise<string[]>;
  /** Any value, to be checked; undefined where there is none, or none that can be read. */
  load(name: string): Promise<unknown>;
  /** Null removes the document. @throws AppError STORE_WRITE_FAILED */
  save(name: string, value: unknown): Promise<void>;
}

/** @throws AppError STORE_WRITE_FAILED where the directory cannot be made */
export async function openJsonFiles(options: JsonFilesOptions): Promise<JsonFiles> {
  const { directory, filesMax, bytesMax } = options;
  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw new AppError("INTERNAL", "no name for a document");
    return join(directory, name + SUFFIX);
  };
  await failingAs(`cannot make ${directory}`, async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const file of await readdir(directory)) {
      if (file.endsWith(TEMPORARY_SUFFIX)) await rm(join(directory, file), { force: true });
    }
  });
  return {
    names: () => namesIn(directory),
    async load(name) {
      try {
        return JSON.parse(await readBounded(pathOf(name), bytesMax)) as unknown;
      } catch {
        return undefined;
      }
    },
    async save(name, value) {
      const path = pathOf(name);
      await failingAs(`cannot write ${path}`, async () => {
        if (value === null) {
          await rm(path, { force: true });
          return;
        }
        const text = JSON.stringify(value);
        if (Buffer.byteLength(text) > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
        await replace(path, text);
        await prune(directory, filesMax);
      });
    },
  };
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  try {
    await writeFile(temporary, text, { mode: OWNER_ONLY });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  const names = (await readdir(directory))
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length));
  return names.filter((name) => NAME.test(name));
}

async function prune(directory: string, filesMax: number): Promise<void> {
  const names = await namesIn(directory);
  if (names.length <= filesMax) return;
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(directory, name + SUFFIX);
      return { path, writtenAtMs: (await stat(path)).mtimeMs };
    }),
  );
  files.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
  for (const { path } of files.slice(0, files.length - filesMax)) {
    await rm(path, { force: true });
  }
}

async function failingAs(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const message = `${what}: ${errorMessage(cause)}`;
    throw new AppError("STORE_WRITE_FAILED", message, { cause });
  }
}
