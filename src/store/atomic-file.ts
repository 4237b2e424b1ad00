import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const TEMPORARY = ".tmp-";
const OWNER_ONLY = 0o600;

/** A file that is whole and safe on disk under a temporary name. */
interface Staged {
  temporary: string;
  path: string;
}

/**
 * Replaces files of one directory, each so that a crash or power cut at any moment leaves its old or
 * its new content whole, never a mixture: temporary files, fsync of all, renames in the order given,
 * fsync of the directory. When it rejects, a file has its old content, or its new one where it comes
 * before the one that failed, or where only the last fsync failed.
 */
export async function replaceFiles(
  directory: string,
  contents: ReadonlyMap<string, string | Uint8Array>,
  newId: () => string,
): Promise<void> {
  const staged = await stageFiles(directory, contents, newId);
  try {
    for (const { temporary, path } of staged) await rename(temporary, path);
  } catch (error) {
    await discard(staged);
    throw error;
  }
  await syncDirectory(directory);
}

/** Writes all of them side by side: the disk makes them safe together, which takes no longer than one. */
async function stageFiles(
  directory: string,
  contents: ReadonlyMap<string, string | Uint8Array>,
  newId: () => string,
): Promise<Staged[]> {
  const staged = [...contents.keys()].map((name) => ({
    temporary: join(directory, `${name}${TEMPORARY}${newId()}`),
    path: join(directory, name),
  }));
  const bodies = [...contents.values()];
  const written = await Promise.allSettled(
    staged.map(({ temporary }, index) => writeSafely(temporary, bodies[index] ?? "")),
  );
  const failed = written.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await discard(staged);
    throw failed.reason;
  }
  return staged;
}

async function writeSafely(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, "wx", OWNER_ONLY);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function discard(staged: readonly Staged[]): Promise<void> {
  for (const { temporary } of staged) await rm(temporary, { force: true }).catch(() => undefined);
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
