import { afterEach, describe, expect, it } from "vitest";
import type { MeasureCommand, Profile } from "../../src/protocol/index.js";
import {
  awaitLayers,
  decisionsOf,
  SPLIT,
  startConfirmingSite,
  TIMEOUT_MS,
} from "../support/confirming-site.js";
import { honest, type Measure, silent } from "../support/measures.js";
import { until } from "../support/poll.js";
import { planOf } from "../support/site.js";

describe("a plan that cannot be confirmed", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it.each([
    {
      name: "answers garbage",
      cloud: () => Promise.resolve({ kind: "measured", ranges: "many" }),
      why: /the answer of gpu-1 makes no sense/,
    },
    {
      name: "measures something else",
      cloud: async (command: MeasureCommand, profile: Profile) =>
        honest()({ ...command, ranges: [{ firstLayer: 0, lastLayer: 1 }] }, profile),
      why: /other layers were measured than asked for/,
    },
    {
      name: "cannot run the partition",
      cloud: () => Promise.resolve({ kind: "failed", reason: "out of memory" }),
      why: /out of memory/,
    },
    {
      name: "never answers",
      cloud: silent,
      why: /not measured within 0\.5 s|not answered within/,
    },
  ])("serves the last good plan where a node $name", async ({ cloud, why }) => {
    const { daemon, improve, native } = await startConfirmingSite(cleanup, {
      cloud,
      confirm: { timeoutMs: 500 },
    });
    improve();
    const kept = await until(
      async () =>
        (await decisionsOf(daemon)).find(
          ({ verdict, summary }) => verdict === "kept" && /could not be confirmed/.test(summary),
        ),
      { timeoutMs: TIMEOUT_MS, what: "a record of what was not confirmed" },
    );
    expect(kept.summary).toMatch(why);
    expect(kept.confirmation).toMatchObject({ confirmed: false });
    expect(planOf(daemon)?.revision).toBe(native.revision);
  });

  it("publishes unconfirmed, and says so, where a node knows no such command", async () => {
    const { daemon, improve } = await startConfirmingSite(cleanup, { device: null, cloud: null });
    improve();
    const plan = await awaitLayers(daemon, SPLIT);
    expect(plan.partitions[0]?.confirmed).toBe(false);
    expect(plan.partitions[0]).not.toHaveProperty("estimateMs");
    expect(plan.reason).toMatch(/not confirmed \(.*knows no command measure/);
  });

  it("plans without a node that dies while it measures", async () => {
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const cloud: Measure = () => {
      begin();
      return new Promise<never>(() => undefined);
    };
    const started = await startConfirmingSite(cleanup, { cloud });
    started.improve();
    await begun;
    await started.cloud.stop();
    const plan = await awaitLayers(started.daemon, "cam-1:0–0 edge-1:1–5");
    expect(plan.partitions.every(({ confirmed }) => confirmed === true)).toBe(true);
  });
});
