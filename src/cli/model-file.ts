import { createHash, randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Writes a file chunk by chunk under a temporary name and renames it when it is whole and on disk:
 * nobody ever sees half a model, and what stood there before stays when writing fails or is aborted.
 */
export async function writeModelFile(
  path: string,
  chunks: Iterable<Uint8Array>,
  signal: AbortSignal,
): Promise<WrittenFile> {
  const temporary = join(dirname(path), `.scissiond-${randomUUID()}.tmp`);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    const file = await open(temporary, "wx");
    try {
      for (const chunk of chunks) {
        signal.throwIfAborted();
        hash.update(chunk);
        await file.writeFile(chunk);
        bytes += chunk.byteLength;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  return { bytes, sha256: hash.digest("hex") };
}
