import { open, readFile, rename, stat } from "node:fs/promises";
import { type PlanCache, plansOf } from "./cache.js";

const FILE_BYTES_MAX = 67_108_864;

/**
 * A cache in a file, for Node: only its owner can read it, and it is replaced as a whole. A file that is
 * missing or damaged counts as empty. One subscriber per file.
 */
export function filePlanCache(path: string): PlanCache {
  return {
    async load() {
      try {
        if ((await stat(path)).size > FILE_BYTES_MAX) return [];
        return plansOf(await readFile(path, "utf8"));
      } catch {
        return [];
      }
    },
    async save(plans) {
      const temporary = `${path}.part`;
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(JSON.stringify(plans));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    },
  };
}
