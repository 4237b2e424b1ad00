import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { parseRecording } from "../../src/replay/index.js";
import { until } from "../support/poll.js";
import { planOf, runDaemon, startSite, tiersOf, writeSite } from "../support/site.js";

const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

it("records what it hears and decides, as replay reads it", async () => {
  const files = await writeSite({ recording: { enabled: true } });
  cleanup.push(() => files.remove());
  const daemon = await runDaemon(files.configPath);
  cleanup.push(() => daemon.stop());
  const site = await startSite(daemon.broker);
  cleanup.push(() => site.stop());
  site.setLinks({ uplink: 100, direct: 100, backbone: 100 });
  await until(() => tiersOf(planOf(daemon)) === "cloud", { timeoutMs: 20_000 });
  const decided = daemon.status().pipelines.flatMap(({ lastDecision }) => lastDecision ?? []);
  await daemon.stop();

  const directory = join(files.directory, "state", "recording");
  const path = join(directory, "recording.jsonl");
  const { samples, decisions } = parseRecording([{ path, text: await readFile(path, "utf8") }]);
  expect(samples.some(({ from, bandwidthMbps }) => from === "cam-1" && bandwidthMbps === 100)).toBe(
    true,
  );
  expect(decisions).toBeGreaterThanOrEqual(decided.length);
  expect(decisions).toBeGreaterThan(0);
});
