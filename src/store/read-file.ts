import { access, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { errorMessage } from "../core/index.js";
import { syncDirectory } from "./atomic-file.js";

/** The text of a file that must not be larger than so many bytes. */
export async function readBounded(path: string, bytesMax: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > bytesMax) throw new Error(`it has ${size} bytes; store.fileBytesMax is ${bytesMax}`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

/** Renames a file so that it can be looked at later; says in words what was done. */
export async function setAside(directory: string, name: string, nowMs: number): Promise<string> {
  const base = `${name}.corrupt-${nowMs}`;
  try {
    let aside = base;
    for (let copy = 2; await exists(join(directory, aside)); copy += 1) aside = `${base}-${copy}`;
    await rename(join(directory, name), join(directory, aside));
    await syncDirectory(directory);
    return `set aside as ${aside}`;
  } catch (error) {
    return `could not be set aside: ${errorMessage(error)}`;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
