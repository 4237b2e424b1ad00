import { expect, it } from "vitest";
import { Soundness } from "../../src/store/soundness.js";
import { emptyState, PIPELINES_MAX, withControl } from "../../src/store/state.js";

it("refuses one more pipeline or control than a later start would read, though each alone is sound", () => {
  const control = (pipeline: string) => ({ pipeline, isPaused: true, pin: null });
  const names = Array.from({ length: PIPELINES_MAX }, (_, index) => `p-${index}`);
  const pipelines = names.map((name) => ({ name, revision: 1, plan: null }));
  const full = { ...emptyState("epoch"), pipelines, controls: names.map(control) };
  const soundness = new Soundness(full);
  const check = (after: typeof full): boolean => soundness.check(full, after).ok;
  expect(check({ ...full })).toBe(true);
  expect(
    check({ ...full, pipelines: [...pipelines, { name: "q", revision: 1, plan: null }] }),
  ).toBe(false);
  expect(soundness.check(full, withControl(full, control("q"))).ok).toBe(false);
});
