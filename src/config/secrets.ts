import { resolve } from "node:path";
import { errorMessage } from "../core/index.js";
import type { Finding, Path } from "./problem.js";
import { readBounded } from "./read-bounded.js";

/** Of all authorities that a system trusts, which is the longest of such files. */
const FILE_BYTES_MAX = 1_048_576;
const OTHERS_CAN_READ = 0o004;

export interface FileContents {
  text: string | undefined;
  errors: Finding[];
  warnings: Finding[];
}

/**
 * Text of a file that the configuration names, without its last line break. A secret which every
 * user of the machine can read is a warning; a file that cannot be read is an error.
 */
export async function readNamedFile(
  directory: string,
  name: string | undefined,
  place: { path: Path; secret: boolean },
): Promise<FileContents> {
  if (name === undefined) return { text: undefined, errors: [], warnings: [] };
  const { path } = place;
  try {
    const { bytes, mode } = await readBounded(resolve(directory, name), FILE_BYTES_MAX);
    const text = new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
    const isOpen = place.secret && (mode & OTHERS_CAN_READ) !== 0;
    const message = `every user of this machine can read ${name}; chmod o= ${name}`;
    return { text, errors: [], warnings: isOpen ? [{ path, at: "value", message }] : [] };
  } catch (error) {
    const message = `cannot read the file: ${errorMessage(error)}`;
    return { text: undefined, errors: [{ path, at: "value", message }], warnings: [] };
  }
}
