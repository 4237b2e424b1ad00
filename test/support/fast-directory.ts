import { access, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new directory in memory where the machine has such a place: tests that write much need no disk. */
export async function makeFastDirectory(prefix: string): Promise<string> {
  const parent = await access("/dev/shm").then(
    () => "/dev/shm",
    () => tmpdir(),
  );
  return mkdtemp(join(parent, prefix));
}
