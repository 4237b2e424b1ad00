import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { describeWithData } from "../support/data.js";
import { until } from "../support/poll.js";
import { runDaemon, siteYaml, startSite, writeSite } from "../support/site.js";

/** One of each way to go wrong, and names that are meant to be mistaken for something else. */
const NAMES = [
  ...["truncated_50", "cycle_self", "external_traversal", "recursive_function", "nested_if_20000"],
  ...["no_outputs", "bomb_constantofshape_1TiB", "bomb_doubling_concat", "infinite_loop"],
  ...["real_optional_sequence_segv", "real_bad_names", "random_output", "nan_output"],
];
const ODD = ["name_constructor", "name_topic"];
/** The loop of a process that others keep from its processor for a while is not blocked. */
const LOOP_DELAY_MS_MAX = 3_000;
const NANOS_PER_MS = 1e6;

describeWithData("bad models of a daemon", (data) => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it("cost a named problem each, and leave the loop and the good model alone", async () => {
    const files = await writeSite();
    cleanup.push(() => files.remove());
    await mkdir(join(files.directory, "bad"));
    const all = [...NAMES, ...ODD];
    for (const name of all) {
      const file = `${name}.onnx`;
      await copyFile(join(data, "models", "bad", file), join(files.directory, "bad", file));
    }
    const named = all.map((name, index) => ({
      name: `bad-${index}`,
      path: join("bad", `${name}.onnx`),
    }));
    const models = [...named, { name: "chain", path: "chain.onnx" }];
    const yaml = siteYaml({
      models,
      pipelines: models.map(({ name }) => ({ name, model: name, devices: ["cam-1"] })),
      benchmark: {
        ...{ warmups: 1, repeats: 2, repeatsMax: 2, cpuSharePercent: 100, timeoutMs: 10_000 },
        inference: { requestTimeoutMs: 4_000, memoryLimitMiB: 512, niceness: 0 },
      },
    });
    await writeFile(files.configPath, yaml);
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    const site = await startSite(daemon.broker);
    cleanup.push(() => site.stop());
    const isAnswered = (name: string): boolean => {
      const { profiles, problems } = daemon.status();
      const has = profiles.some(({ model, node }) => model.name === name && node === "edge-1");
      return (
        has || problems.some((problem) => problem.startsWith(`benchmark of ${name} on edge-1`))
      );
    };
    await until(() => models.every(({ name }) => isAnswered(name)), {
      timeoutMs: 150_000,
      what: "an answer for each model",
    });
    delay.disable();
    expect(delay.max / NANOS_PER_MS).toBeLessThan(LOOP_DELAY_MS_MAX);

    const { problems, profiles } = daemon.status();
    const measured = new Set(profiles.map(({ model }) => model.name));
    expect(measured).toContain("chain");
    const nameOf = (file: string): string => `bad-${all.indexOf(file)}`;
    for (const odd of ODD) expect(measured).toContain(nameOf(odd));
    for (const bad of NAMES) {
      expect([bad, measured.has(nameOf(bad))]).toEqual([bad, false]);
    }
    const here = problems.filter((problem) => problem.includes(" on edge-1: "));
    expect(here.filter((problem) => problem.includes("INTERNAL"))).toEqual([]);
    expect(here).toHaveLength(NAMES.length);
  }, 240_000);
});
