import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { daemonFileSchema } from "../../src/config/daemon-schema.js";
import type { DaemonConfig } from "../../src/config/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { createMeasure, type MeasureDeps } from "../../src/daemon/measure.js";
import { hashModels } from "../../src/daemon/models.js";
import type { NodeState, Profile } from "../../src/protocol/index.js";
import { openJsonFiles } from "../../src/store/index.js";
import { ManualClock } from "../support/manual-clock.js";
import { aProfile } from "../support/profiles.js";
import { chainModel } from "../support/site.js";

const SELF = { node: "edge-1", tier: "edge", hardwareClass: "edge-1" } as NodeState;

describe("a measurement", () => {
  const directories: string[] = [];
  afterEach(async () => {
    for (const path of directories.splice(0)) await rm(path, { recursive: true, force: true });
  });

  async function setUp(more: Partial<MeasureDeps> = {}) {
    const directory = await mkdtemp(join(tmpdir(), "scissiond-measure-"));
    directories.push(directory);
    const path = join(directory, "chain.onnx");
    await writeFile(path, chainModel());
    const { files } = await hashModels([{ name: "chain", path, inputs: [] }], 1_000_000);
    const benchmark = { warmups: 0, repeats: 1, repeatsMax: 1, cpuSharePercent: 100 };
    const config = daemonFileSchema.parse({ benchmark }) as unknown as DaemonConfig;
    const taken: Profile[] = [];
    const measure = createMeasure({
      self: () => SELF,
      config: () => config,
      profileOf: () => undefined,
      sidecarsOf: () => Promise.resolve([]),
      liveWork: () => "none",
      checkpoints: await openJsonFiles({ directory, filesMax: 9, bytesMax: 1_000_000 }),
      telemetry: { command: () => Promise.resolve(null), publishProfile: () => undefined },
      onProfile: (profile) => Promise.resolve(void taken.push(profile)),
      onProgress: () => undefined,
      clock: systemClock,
      log: silentLogger,
      ...more,
    });
    const on = (node: string): Promise<string> =>
      measure(
        { model: files[0]!, node, host: node },
        { signal: new AbortController().signal, mayLook: true, timeLeftMs: 60_000 },
      );
    return { on, path, taken };
  }

  const answering = (data: unknown): MeasureDeps["telemetry"] => ({
    command: () => Promise.resolve(data),
    publishProfile: () => undefined,
  });

  it.each([null, 7, "ok", {}, { measuredAt: "now", wholeMs: 1 }, { measuredAt: 1, wholeMs: -1 }])(
    "fails with a name when the agent answers %j",
    async (data) => {
      const { on } = await setUp({ telemetry: answering(data) });
      await expect(on("cam-1")).rejects.toMatchObject({ code: "COMMAND_FAILED" });
      await expect(on("cam-1")).rejects.toThrow(/cam-1 answered with garbage/);
    },
  );

  it("fails with a name when the agent tells of a profile that does not come", async () => {
    const clock = new ManualClock();
    const { on } = await setUp({ telemetry: answering({ measuredAt: 5, wholeMs: 1 }), clock });
    const answer = { isSettled: false };
    const measured = expect(
      on("cam-1").finally(() => (answer.isSettled = true)),
    ).rejects.toMatchObject({
      code: "PROFILE_INVALID",
    });
    while (!answer.isSettled) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(100);
    }
    await measured;
  });

  it.each([
    { ageHours: 47, fullAge: undefined, look: true },
    { ageHours: 49, fullAge: undefined, look: undefined },
    // Looked at since; the blocks are older.
    { ageHours: 1, fullAge: 47, look: true },
    { ageHours: 1, fullAge: 49, look: undefined },
    { ageHours: -1, fullAge: undefined, look: undefined },
  ])("asks an agent for a look at blocks that are not too old: %j", async (one) => {
    const { ageHours, fullAge, look } = one;
    const HOUR_MS = 3_600_000;
    const clock = new ManualClock();
    const measuredAt = clock.nowMs() - ageHours * HOUR_MS;
    const refreshed = { fullAt: clock.nowMs() - (fullAge ?? 0) * HOUR_MS, scaledBy: 1 };
    const profile = aProfile({ measuredAt, ...(fullAge === undefined ? {} : { refreshed }) });
    const asked: { look?: boolean }[] = [];
    const { on } = await setUp({
      clock,
      profileOf: () => profile,
      telemetry: {
        command: (_node, _name, command) => {
          asked.push(command);
          return Promise.resolve({ measuredAt, wholeMs: 1, outcome: "done" });
        },
        publishProfile: () => undefined,
      },
    });
    expect(await on("cam-1")).toBe("done");
    expect(asked.map((command) => command.look)).toEqual([look]);
  });

  it("ends when the profile is here", async () => {
    const outcome = "looked: it holds";
    const { on } = await setUp({
      telemetry: answering({ measuredAt: 5, wholeMs: 1, outcome }),
      profileOf: () => aProfile({ measuredAt: 5 }),
    });
    expect(await on("cam-1")).toBe(outcome);
  });

  it("takes no profile of a file that has become another one", async () => {
    const { on, path, taken } = await setUp();
    await writeFile(path, chainModel(1));
    await expect(on("edge-1")).rejects.toMatchObject({ code: "MODEL_CHANGED" });
    expect(taken).toEqual([]);
    await writeFile(path, "no model at all");
    await expect(on("edge-1")).rejects.toMatchObject({
      code: expect.stringMatching(/^MODEL_/) as string,
    });
    expect(taken).toEqual([]);
    await writeFile(path, chainModel());
    expect(await on("edge-1")).toMatch(/measured/);
    const sha256 = createHash("sha256").update(chainModel()).digest("hex");
    expect(taken[0]?.model.sha256).toBe(sha256);
  });
});
