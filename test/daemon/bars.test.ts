import { describe, expect, it } from "vitest";
import { Bars, isBarred } from "../../src/daemon/bars.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import type { RolloutFailure } from "../../src/publisher/index.js";
import { aPlan } from "../support/plans.js";

const MINUTE_MS = 60_000;
const [partition] = aPlan().partitions;

function planOn(node: string, revision: number): PlanDocument {
  return aPlan({ revision, partitions: [{ ...partition!, node, firstLayer: 0, lastLayer: 9 }] });
}

function failure(cause: RolloutFailure["cause"]): RolloutFailure {
  return { node: "gpu-1", cause, reason: "no memory" };
}

const refused = planOn("gpu-1", 2);
const inForce = planOn("cam-1", 1);

/** At `nowMs`, whether the layers may not run on the node; the failure was at time 0. */
function isKeptOut(
  bars: Bars,
  { nowMs = 0, node = "gpu-1", firstLayer = 0, lastLayer = 9, model = refused.model.sha256 },
): boolean {
  return isBarred(bars.of(model, inForce, nowMs), [{ node, firstLayer, lastLayer }]);
}

describe("a partition that a runtime rejected", () => {
  function rejected(): Bars {
    const bars = new Bars();
    bars.add(refused, failure("rejected"), 0);
    return bars;
  }

  it("is kept from that node for five minutes", () => {
    const bars = rejected();
    expect(isKeptOut(bars, { nowMs: 5 * MINUTE_MS - 1 })).toBe(true);
    expect(isKeptOut(bars, { nowMs: 5 * MINUTE_MS })).toBe(false);
  });

  it("is kept from it until its runtime subscribes anew, and not for others that do", () => {
    const bars = rejected();
    bars.runtimeSubscribed("cam-1");
    expect(isKeptOut(bars, {})).toBe(true);
    bars.runtimeSubscribed("gpu-1");
    expect(isKeptOut(bars, {})).toBe(false);
  });

  it.each([
    { what: "another node", other: { node: "gpu-2" } },
    { what: "other layers of that node", other: { firstLayer: 1 } },
    { what: "another model", other: { model: "f".repeat(64) } },
  ])("says nothing about $what", ({ other }) => {
    expect(isKeptOut(rejected(), other)).toBe(false);
  });

  it("stays where the plan in force runs it well, unless that very plan failed", () => {
    const bars = rejected();
    const own = refused.model.sha256;
    const isOut = (plan: PlanDocument): boolean =>
      isBarred(bars.of(own, plan, 0), refused.partitions);
    expect(isOut({ ...refused, revision: 1 })).toBe(false);
    expect(isOut(refused)).toBe(true);
  });
});

describe("a partition whose runtime vanished or did not answer", () => {
  it.each(["vanished", "timed-out"] as const)("(%s) is kept out for a minute", (cause) => {
    const bars = new Bars();
    bars.add(refused, failure(cause), 0);
    // It may vanish again at once, so that its return ends nothing.
    bars.runtimeSubscribed("gpu-1");
    expect(isKeptOut(bars, { nowMs: MINUTE_MS - 1 })).toBe(true);
    expect(isKeptOut(bars, { nowMs: MINUTE_MS })).toBe(false);
  });
});
