import { describe, expect, it } from "vitest";
import { AppError, silentLogger } from "../../src/core/index.js";
import { Confirmations, type ConfirmJob } from "../../src/daemon/confirmations.js";
import type { ModelFile } from "../../src/daemon/models.js";
import type { MeasureAnswer } from "../../src/protocol/index.js";
import { ManualClock } from "../support/manual-clock.js";
import { until } from "../support/poll.js";
import { aProfile } from "../support/profiles.js";

const model = { name: "net", sha256: "a".repeat(64) } as ModelFile;

function job(node: string, lastLayer: number): ConfirmJob {
  return { model, node, ranges: [{ firstLayer: 0, lastLayer }] };
}

function start() {
  const clock = new ManualClock();
  const asked: string[] = [];
  const answers: ((answer: MeasureAnswer | Error) => void)[] = [];
  const confirmations = new Confirmations({
    measure: ({ node, ranges }, signal) => {
      asked.push(`${node} ${ranges[0]?.lastLayer ?? 0}`);
      return new Promise((resolve, reject) => {
        const giveUp = (): void => reject(new AppError("ABORTED", "given up"));
        signal.addEventListener("abort", giveUp);
        answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      });
    },
    onChanged: () => undefined,
    timeoutMs: () => 10_000,
    clock,
    log: silentLogger,
  });
  const answer = (one: MeasureAnswer | Error): void => answers.shift()?.(one);
  return { clock, asked, answer, confirmations };
}

const MEASURED: MeasureAnswer = {
  kind: "measured",
  measuredAt: 1,
  environment: aProfile().environment,
  ranges: [],
};

describe("confirmations", () => {
  it("measure one job at a time on a node, the newest wish after it", async () => {
    const { asked, answer, confirmations } = start();
    confirmations.want("vision", [job("gpu-1", 1), job("cam-1", 1)]);
    confirmations.want("vision", [job("gpu-1", 2)]);
    confirmations.want("vision", [job("gpu-1", 3)]);
    expect(asked).toEqual(["gpu-1 1", "cam-1 1"]);
    expect(confirmations.running()).toContain("layers 0–1 of net on gpu-1");
    answer(MEASURED);
    await until(() => asked.length === 3);
    expect(asked.at(-1)).toBe("gpu-1 3");
    answer(MEASURED);
    answer(MEASURED);
    await until(() => confirmations.running() === undefined);
    expect(asked).toHaveLength(3);
  });

  it("end with a node that goes, and only there", async () => {
    const { clock, asked, confirmations } = start();
    const jobs = [job("gpu-1", 1), job("cam-1", 1)];
    confirmations.want("vision", jobs);
    confirmations.nodeLost("gpu-1");
    await until(() => confirmations.nodes().length === 1);
    expect(confirmations.nodes()).toEqual(["cam-1"]);
    expect(confirmations.standing(model.sha256, "gpu-1")).toEqual({
      kind: "failed",
      reason: "gpu-1 has gone while it measured",
    });
    clock.advance(10_000);
    confirmations.want("vision", jobs);
    expect(asked).toEqual(["gpu-1 1", "cam-1 1", "gpu-1 1"]);
  });

  it("ask a busy node again, until it has been busy for too long", async () => {
    const { clock, asked, answer, confirmations } = start();
    const standing = () => confirmations.standing(model.sha256, "gpu-1");
    for (let round = 1; standing().kind === "open"; round += 1) {
      confirmations.want("vision", [job("gpu-1", 1)]);
      expect(asked).toHaveLength(round);
      answer({ kind: "busy" });
      await until(() => confirmations.running() === undefined);
      confirmations.want("vision", [job("gpu-1", 1)]);
      expect(asked).toHaveLength(round);
      if (standing().kind === "open") clock.advance(1_000);
    }
    expect(standing()).toEqual({
      kind: "unable",
      reason: "gpu-1 is busy with another measurement",
    });
    expect(asked).toHaveLength(6);
  });

  it.each([
    { answer: new AppError("COMMAND_FAILED", "no such command"), kind: "unable" },
    { answer: new AppError("COMMAND_TIMEOUT", "no answer"), kind: "failed" },
    { answer: new AppError("NODE_LOST", "restarted"), kind: "failed" },
    { answer: { kind: "failed", reason: "crashed" } as const, kind: "failed" },
  ])("remember what failed ($kind), and pause twice as long each time", async (given) => {
    const { clock, asked, answer, confirmations } = start();
    for (const pauseMs of [10_000, 20_000]) {
      const before = asked.length;
      confirmations.want("vision", [job("gpu-1", 1)]);
      expect(asked).toHaveLength(before + 1);
      answer(given.answer);
      await until(() => confirmations.running() === undefined);
      expect(confirmations.standing(model.sha256, "gpu-1").kind).toBe(given.kind);
      clock.advance(pauseMs - 1);
      confirmations.want("vision", [job("gpu-1", 1)]);
      expect(asked).toHaveLength(before + 1);
      clock.advance(1);
      expect(confirmations.standing(model.sha256, "gpu-1").kind).toBe("open");
    }
  });
});
