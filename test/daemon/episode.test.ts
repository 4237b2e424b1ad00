import { describe, expect, it } from "vitest";
import type { Standing } from "../../src/daemon/confirmations.js";
import { type Episode, nextStep } from "../../src/daemon/episode.js";
import type { PlannedPartition } from "../../src/planner/index.js";

const limits = { roundsMax: 2, timeoutMs: 1_000 };

function partition(node: string, lastLayer: number): PlannedPartition {
  return {
    node,
    tier: "cloud",
    firstBlock: 0,
    lastBlock: lastLayer,
    firstLayer: 0,
    lastLayer,
    computeMs: 1,
  };
}

describe("the confirming of a better plan", () => {
  const standings: Record<string, Standing> = {
    busy: { kind: "unable", reason: "it is busy" },
    broken: { kind: "failed", reason: "it crashed" },
  };
  const look = (
    episode: Episode | undefined,
    missing: readonly PlannedPartition[],
    nowMs: number,
  ): ReturnType<typeof nextStep> =>
    nextStep(episode, {
      missing,
      standing: (node) => standings[node] ?? { kind: "open" },
      nowMs,
      limits,
    });

  it("publishes what is measured", () => {
    expect(look(undefined, [], 0)).toEqual({ episode: undefined, step: { kind: "publish" } });
  });

  it("publishes what only nodes that cannot measure leave open", () => {
    expect(look(undefined, [partition("busy", 1)], 0).step).toEqual({
      kind: "publish",
      unconfirmed: "it is busy",
    });
    const both = [partition("busy", 1), partition("gpu-1", 2)];
    expect(look(undefined, both, 0).step).toMatchObject({ kind: "wait", open: [both[1]] });
  });

  it("gives up at once where a partition failed", () => {
    const missing = [partition("gpu-1", 1), partition("broken", 2)];
    expect(look(undefined, missing, 0).step).toEqual({ kind: "give up", why: "it crashed" });
  });

  it("waits no longer than it may, and then not again for a while", () => {
    const missing = [partition("gpu-1", 1)];
    const begun = look(undefined, missing, 0);
    expect(begun.step.kind).toBe("wait");
    expect(look(begun.episode, missing, 999).step.kind).toBe("wait");
    const late = look(begun.episode, missing, 1_000);
    expect(late.step).toMatchObject({ why: "layers 0–1 on gpu-1 not measured within 1 s" });
    expect(look(late.episode, missing, 200_000).step.kind).toBe("give up");
    expect(look(late.episode, [], 200_000).step.kind).toBe("publish");
    expect(look(late.episode, missing, 400_000).step.kind).toBe("wait");
  });

  it("follows the best plan for so many rounds only", () => {
    let episode: Episode | undefined;
    const kinds = [1, 1, 2, 3].map((lastLayer) => {
      const next = look(episode, [partition("gpu-1", lastLayer)], 0);
      episode = next.episode;
      return next.step.kind;
    });
    expect(kinds).toEqual(["wait", "wait", "wait", "give up"]);
  });
});
