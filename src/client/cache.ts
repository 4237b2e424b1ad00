import { z } from "zod";
import { type PlanDocument, parseJson, planDocumentSchema } from "../protocol/index.js";

/** Where a subscriber keeps its last known good plans, to start with when no daemon answers. */
export interface PlanCache {
  /** The plans of the last `save`; none where there was none, or where it cannot be read. */
  load(): Promise<readonly PlanDocument[]>;
  save(plans: readonly PlanDocument[]): Promise<void>;
}

const PLANS_MAX = 10_000;
const cacheSchema = z.array(planDocumentSchema).max(PLANS_MAX);

/** Plans from what a cache holds; none where it is damaged. */
export function plansOf(text: string): readonly PlanDocument[] {
  const plans = parseJson(text, cacheSchema);
  return plans.ok ? plans.value : [];
}

/** What a browser's `localStorage` has. */
export interface StorageLike {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** A cache in a browser's `localStorage`, under `key`. One subscriber per key. */
export function storagePlanCache(storage: StorageLike, key = "scissiond.plans"): PlanCache {
  return {
    // Storage that a browser denies or that is full throws at once: here that is a rejection.
    load: () =>
      Promise.resolve()
        .then(() => plansOf(storage.getItem(key) ?? "[]"))
        .catch(() => []),
    save: (plans) => Promise.resolve().then(() => storage.setItem(key, JSON.stringify(plans))),
  };
}
