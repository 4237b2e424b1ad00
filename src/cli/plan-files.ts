import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { AppError, type ErrorCode, errorMessage } from "../core/index.js";
import type { TextFile } from "../planner/index.js";

const FILE_BYTES_MAX = 67_108_864;
const FILES_MAX = 10_000;

/** A text file from the command line, bounded. Throws an error with `code` that names the path. */
export async function readTextFile(path: string, code: ErrorCode): Promise<TextFile> {
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) {
      throw new AppError(code, `${path} has ${size} bytes; at most ${FILE_BYTES_MAX} are read`);
    }
    return { path, name: basename(path), text: await readFile(path, "utf8") };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError(code, `${path} cannot be read: ${errorMessage(error)}`, { cause: error });
  }
}

/** Every `*.json` in a directory, by name. */
export async function readJsonFiles(directory: string): Promise<TextFile[]> {
  let names: string[];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    throw new AppError(
      "PROFILE_INVALID",
      `${directory} cannot be read: ${errorMessage(error)}; give a directory of profiles`,
      { cause: error },
    );
  }
  const wanted = names.filter((name) => /\.json$/i.test(name)).sort();
  if (wanted.length > FILES_MAX) {
    throw new AppError(
      "PROFILE_INVALID",
      `${directory} holds ${wanted.length} JSON files; at most ${FILES_MAX} are read`,
    );
  }
  const files: TextFile[] = [];
  for (const name of wanted) {
    files.push(await readTextFile(join(directory, name), "PROFILE_INVALID"));
  }
  return files;
}

export async function writePicture(path: string, svg: string): Promise<void> {
  try {
    await writeFile(path, svg);
  } catch (error) {
    throw new AppError("USAGE", `--plot: ${path} cannot be written: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}
