import { z } from "zod";
import { type PlanDocument, parseJson, planDocumentSchema } from "../protocol/index.js";

/** Where a subscriber keeps its last known good plans, to start with when no daemon answers. */
export interface PlanCache {
  /** The plans of the last `save`; none where there was none, or where it cannot be read. */
  load(): Promise<readonly PlanDocument[]>;
  save(plans: readonly PlanDocument[]): Promise<void>;
}

const PLANS_MAX = 10_000;
const FILE_BYTES_MAX = 67_108_864;
const cacheFileSchema = z.array(planDocumentSchema).max(PLANS_MAX);

/**
 * A cache in a file, for Node: only its owner can read it, and it is replaced as a whole. A file that is
 * missing or damaged counts as empty. One subscriber per file.
 */
export function filePlanCache(path: string): PlanCache {
  return {
    async load() {
      // Imported when needed, so that browsers can load this module.
      const { readFile, stat } = await import("node:fs/promises");
      try {
        if ((await stat(path)).size > FILE_BYTES_MAX) return [];
        const plans = parseJson(await readFile(path, "utf8"), cacheFileSchema);
        return plans.ok ? plans.value : [];
      } catch {
        return [];
      }
    },
    async save(plans) {
      const { open, rename } = await import("node:fs/promises");
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
