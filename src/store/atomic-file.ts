import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const TEMPORARY = ".tmp-";
const OWNER_ONLY = 0o600;

/**
 * Replaces a file so that a crash or power cut at any moment leaves the old or the new content
 * whole, never a mixture: temporary file, fsync, rename, fsync of the directory. When it rejects,
 * the old content stands, or the new one if only the last fsync failed.
 */
export async function replaceFile(
  path: { directory: string; name: string },
  text: string,
  id: string,
): Promise<void> {
  const temporary = join(path.directory, `${path.name}${TEMPORARY}${id}`);
  try {
    const file = await open(temporary, "wx", OWNER_ONLY);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(path.directory, path.name));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(path.directory);
}

/** Makes renames in the directory survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what writers that were killed left behind. Call it only while holding the lock. */
export async function removeTemporaryFiles(directory: string, name: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (entry.startsWith(name) && entry.includes(TEMPORARY)) {
      // One that stays only takes room; the next start tries again.
      await rm(join(directory, entry), { force: true }).catch(() => undefined);
    }
  }
}
