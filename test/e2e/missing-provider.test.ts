import { afterEach, expect, it } from "vitest";
import { until } from "../support/poll.js";
import { runDaemon, writeSite } from "../support/site.js";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

it("is a problem of the daemon, which measures nothing on the CPU in its place", async () => {
  const inference = { executionProviders: ["nonsense", "cpu"], niceness: 0 };
  const files = await writeSite({ benchmark: { inference, cpuSharePercent: 100 } });
  cleanup.push(() => files.remove());
  const daemon = await runDaemon(files.configPath);
  cleanup.push(() => daemon.stop());
  const isTold = (text: RegExp): boolean => daemon.status().problems.some((one) => text.test(one));
  const timeoutMs = 30_000;
  await until(() => isTold(/^edge-1: execution provider nonsense is not available/), { timeoutMs });
  await until(() => isTold(/benchmark of chain on edge-1: execution provider nonsense/), {
    timeoutMs,
  });
  expect(daemon.status().profiles).toEqual([]);
});
