import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { describeWithData } from "../support/data.js";
import { type BadFile, badFiles } from "../support/manifest.js";
import { until } from "../support/poll.js";
import { runDaemon, siteYaml, startSite, writeSite } from "../support/site.js";

/** So many models of one daemon; a smaller batch tells sooner what went wrong. */
const BATCH = 21;
/** What two of the files refer to. */
const EXTERNAL = "ext16.bin";
/** ONNX Runtime computes something; it is we who find it of no use, or too slow. */
const REFUSED_BY_US = new Set(["nan_output", "random_output", "slow_loop_1e7"]);
/** Computes something or not, as the values happen to be that it is fed. */
const BY_CHANCE = new Set(["bomb_expand_runtime"]);
/** The loop of a process that others keep from its processor for a while is not blocked. */
const LOOP_DELAY_MS_MAX = 3_000;
const NANOS_PER_MS = 1e6;

describeWithData("every bad or odd model, in a daemon", (data) => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  async function startDaemonWith(batch: readonly BadFile[]) {
    const files = await writeSite();
    cleanup.push(() => files.remove());
    const bad = join(files.directory, "bad");
    await mkdir(bad);
    for (const file of [...batch.map((each) => each.file), EXTERNAL]) {
      await copyFile(join(data, "models", "bad", file), join(bad, file));
    }
    const models = [
      ...batch.map(({ file }, index) => ({ name: `bad-${index}`, path: join("bad", file) })),
      { name: "chain", path: "chain.onnx" },
    ];
    const yaml = siteYaml({
      models,
      pipelines: models.map(({ name }) => ({ name, model: name, devices: ["cam-1"] })),
      confirm: { enabled: false },
      benchmark: {
        ...{ warmups: 1, repeats: 2, repeatsMax: 2, cpuSharePercent: 100, timeoutMs: 15_000 },
        inference: { requestTimeoutMs: 4_000, memoryLimitMiB: 512, niceness: 0 },
      },
    });
    await writeFile(files.configPath, yaml);
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    const site = await startSite(daemon.broker);
    cleanup.push(() => site.stop());
    return daemon;
  }

  const files = badFiles(data);
  const batches = Array.from({ length: Math.ceil(files.length / BATCH) }, (_, index) =>
    files.slice(index * BATCH, (index + 1) * BATCH),
  );
  it.each(batches.map((batch, index) => [index + 1, batch] as const))(
    "is measured or a named problem, and leaves the loop and the good model alone (batch %i)",
    async (_, batch) => {
      const delay = monitorEventLoopDelay({ resolution: 20 });
      delay.enable();
      const daemon = await startDaemonWith(batch);
      const answerTo = (name: string): string | undefined => {
        const { profiles, problems } = daemon.status();
        const prefix = `benchmark of ${name} on edge-1`;
        return profiles.some(({ model, node }) => model.name === name && node === "edge-1")
          ? "measured"
          : problems.find((problem) => problem.startsWith(prefix));
      };
      const names = ["chain", ...batch.map((_, index) => `bad-${index}`)];
      await until(() => names.every((name) => answerTo(name) !== undefined), {
        timeoutMs: 240_000,
        what: "an answer for each model",
      });
      delay.disable();
      expect(delay.max / NANOS_PER_MS).toBeLessThan(LOOP_DELAY_MS_MAX);
      expect(answerTo("chain")).toBe("measured");
      const answers = batch.map(({ name }, index) => [name, answerTo(`bad-${index}`) ?? ""]);
      const isGood = ({ name, outcome }: BadFile): boolean =>
        outcome === "runs" && !REFUSED_BY_US.has(name);
      const sure = batch.filter(({ name }) => !BY_CHANCE.has(name));
      const measured = new Map(answers.map(([name, answer]) => [name, answer === "measured"]));
      expect(sure.map(({ name }) => [name, measured.get(name)])).toEqual(
        sure.map((file) => [file.name, isGood(file)]),
      );
      expect(answers.filter(([, answer]) => answer?.includes("INTERNAL"))).toEqual([]);
    },
    300_000,
  );
});
