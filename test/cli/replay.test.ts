import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { replayCommand } from "../../src/cli/replay.js";
import { runCommandLine, type RecordedTerminal, recordTerminal } from "../support/terminal.js";

/** Two blocks: 100 + 900 ms on the device, a tenth of it on the server; 0.1 MB cross between them. */
const block = (layer: number, seconds: number, outputBytes: number) => ({
  inputLayer: layer,
  outputLayer: layer,
  seconds,
  outputBytes,
});
const DEVICE = { net: [block(0, 0.1, 100_000), block(1, 0.9, 0)] };
const CLOUD = { net: [block(0, 0.01, 100_000), block(1, 0.09, 0)] };
const LINKS = "source,destination,ping(ms),bandwidth(mbps)\ncam,gpu,10,8\n";

interface Summary {
  meanLatencyMs: Record<"adaptive" | "static" | "bestStatic" | "tracker" | "oracle", number>;
  switches: Record<"adaptive" | "tracker" | "oracle", number>;
  decisions: { second: number; verdict: string; revision: number; summary: string }[];
}

describe("scissiond replay", () => {
  let directory: string;
  let terminal: RecordedTerminal;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-replay-"));
    await writeFile(join(directory, "device-cam.json"), JSON.stringify(DEVICE));
    await writeFile(join(directory, "cloud-gpu.json"), JSON.stringify(CLOUD));
    await writeFile(join(directory, "links.csv"), LINKS);
    terminal = recordTerminal();
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function replay(samples: readonly number[] | string, ...flags: string[]): Promise<void> {
    const text =
      typeof samples === "string"
        ? samples
        : `second,mbps\n${samples.map((mbps, second) => `${second},${mbps}`).join("\n")}\n`;
    await writeFile(join(directory, "trace.csv"), text);
    await runCommandLine(
      replayCommand(terminal),
      ...["--profiles", directory, "--links", join(directory, "links.csv"), "--model", "net"],
      ...["--trace", join(directory, "trace.csv"), "--cost-model", "scission"],
      ...["--device", "!-1", ...flags],
    );
  }

  async function summary(samples: readonly number[], ...flags: string[]): Promise<Summary> {
    await replay(samples, ...flags, "--json");
    return JSON.parse(terminal.output) as Summary;
  }

  // Device alone: 1000 ms. Split: 100 + 90 + 10 ms and 0.8 Mb of transfer: 300 ms at 8 Mbps.
  const SPLIT_MS = 300;
  const ALONE_MS = 1_000;

  it("serves each second by the plan in force, at that second's bandwidth", async () => {
    const { meanLatencyMs, switches, decisions } = await summary([8, 8, 8, 8]);
    for (const mean of Object.values(meanLatencyMs)) expect(mean).toBeCloseTo(SPLIT_MS, 6);
    expect(switches).toEqual({ adaptive: 0, tracker: 0, oracle: 0 });
    expect(decisions).toEqual([]);
  });

  it("knows a second's sample from the next one on, and charges a switch to the request it hits", async () => {
    // At 0.5 Mbps the split takes 200 + 1600 ms.
    const trace = [8, 0.5, 0.5, 8];
    const { meanLatencyMs, switches } = await summary(trace, "--switch-ms", "50");
    expect(switches.oracle).toBe(2);
    expect(meanLatencyMs.oracle).toBeCloseTo((SPLIT_MS + 2 * ALONE_MS + SPLIT_MS) / 4, 6);
    // Second 1 is still served by the split, second 3 already by nothing but the device.
    expect(switches.tracker).toBe(1);
    expect(meanLatencyMs.tracker).toBeCloseTo((SPLIT_MS + 1_800 + 2 * ALONE_MS + 50) / 4, 6);
  });

  it("caps a transfer by falling back to the device, in an outage too", async () => {
    const { meanLatencyMs } = await summary([8, 0], "--fallback-ms", "400");
    expect(meanLatencyMs.tracker).toBeCloseTo((SPLIT_MS + ALONE_MS + 400) / 2, 6);
    expect(meanLatencyMs.oracle).toBeCloseTo((SPLIT_MS + ALONE_MS) / 2, 6);
  });

  it("plans `static` for the mean of ten seconds, and `bestStatic` in hindsight", async () => {
    const early = Array<number>(10).fill(8);
    const late = Array<number>(30).fill(0.5);
    const { meanLatencyMs } = await summary([...early, ...late]);
    expect(meanLatencyMs.static).toBeCloseTo((10 * SPLIT_MS + 30 * 1_800) / 40, 6);
    expect(meanLatencyMs.bestStatic).toBeCloseTo(ALONE_MS, 6);
  });

  it("switches once for a lasting change, soon, and says why in plain words", async () => {
    const trace = [...Array<number>(20).fill(8), ...Array<number>(20).fill(0.5)];
    const { switches, decisions } = await summary(trace);
    expect(switches.adaptive).toBe(1);
    const published = decisions.filter(({ verdict }) => verdict === "published");
    expect(published).toHaveLength(1);
    expect(published[0]!.second).toBeLessThanOrEqual(22);
    expect(published[0]!.revision).toBe(2);
    expect(published[0]!.summary).toMatch(
      /revision 1 would take .* ms, best is 1000 ms \(−\d+ %\): published revision 2$/,
    );
  });

  it("starts from the plan for the links, whatever the trace begins with", async () => {
    const { meanLatencyMs } = await summary([0.5, 0.5]);
    expect(meanLatencyMs.tracker).toBeCloseTo((1_800 + ALONE_MS) / 2, 6);
  });

  it("prints decisions and a table for people", async () => {
    await replay([8, 8, 0.5, 0.5, 0.5, 0.5, 0.5]);
    expect(terminal.output).toMatch(/published revision 2/);
    expect(terminal.output).toMatch(/tracker +\d/);
  });

  it("draws the timeline", async () => {
    const picture = join(directory, "timeline.svg");
    await replay([8, 8, 0.5, 0.5, 0, 0.5], "--plot", picture);
    const svg = await readFile(picture, "utf8");
    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect(svg).toContain("bandwidth cam → gpu, Mbps");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  it.each([
    ["no samples", "second,mbps\n", /no samples/],
    ["a word for a rate", "0,fast\n", /line 1: the rate is "fast"/],
    ["a negative rate", "0,-1\n", /line 1: the rate is "-1"/],
    ["seconds that run backwards", "1,1\n0,1\n", /line 2/],
    ["too many columns", "0,1,2\n", /line 1: write second,mbps/],
    ["a gap of years", "0,1\n99999999999,1\n", /line 2: more than/],
  ])("refuses a trace with %s", async (_name, text, message) => {
    await expect(replay(text)).rejects.toThrow(message);
  });

  it("proposes thresholds on one half of a trace, and judges them on the other", async () => {
    const waves = Array.from({ length: 120 }, (_, second) => (second % 30 < 15 ? 8 : 0.5));
    await replay(waves, "--tune", "--json");
    const { proposed, judged, isBetter } = JSON.parse(terminal.output) as {
      proposed: object;
      judged: Record<"present" | "proposed", { meanLatencyMs: number; switches: number }>;
      isBetter: boolean;
    };
    expect(Object.keys(proposed)).toContain("regimeSeconds");
    expect(isBetter).toBe(judged.proposed.meanLatencyMs < judged.present.meanLatencyMs);
    expect(judged.present.switches).toBeGreaterThan(0);
    await expect(replay([1, 2, 3], "--tune")).rejects.toThrow(/too few/);
  });

  describe("of a recording", () => {
    const link = (second: number, bandwidthMbps: number, change = {}) => ({
      kind: "link",
      at: 1_700_000_000_000 + second * 1_000,
      from: "cam",
      to: "gpu",
      bandwidthMbps,
      ...change,
    });

    async function replayRecords(records: readonly object[] | string): Promise<Summary> {
      const text =
        typeof records === "string"
          ? records
          : records.map((record) => `${JSON.stringify(record)}\n`).join("");
      await writeFile(join(directory, "recording.jsonl"), text);
      await runCommandLine(
        replayCommand(terminal),
        ...["--profiles", directory, "--links", join(directory, "links.csv"), "--model", "net"],
        ...["--recording", join(directory, "recording.jsonl"), "--cost-model", "scission"],
        ...["--device", "!-1", "--json"],
      );
      return JSON.parse(terminal.output) as Summary;
    }

    it("is the same as of a trace", async () => {
      const rates = [...Array<number>(10).fill(8), ...Array<number>(10).fill(0.5)];
      const recorded = await replayRecords(rates.map((mbps, second) => link(second, mbps)));
      terminal = recordTerminal();
      const traced = await summary(rates);
      expect(recorded.meanLatencyMs).toEqual(traced.meanLatencyMs);
      expect(recorded.switches).toEqual(traced.switches);
    });

    it("holds a value until the next, and takes a lost link for an outage", async () => {
      const { meanLatencyMs } = await replayRecords([link(0, 8), link(3, 8, { lossPercent: 100 })]);
      expect(meanLatencyMs.bestStatic).toBeCloseTo((3 * SPLIT_MS + 2_000) / 4, 6);
    });

    it("survives a clock that jumps by years, and half a line at the end", async () => {
      const jump = link(0, 0.5, { at: 4_000_000_000_000 });
      const lines = [link(0, 8), jump, link(1, 0.5)].map((record) => JSON.stringify(record));
      const { meanLatencyMs } = await replayRecords(`${lines.join("\n")}\n{"kind":"li`);
      // A minute of the first value stands for the years.
      expect(meanLatencyMs.oracle).toBeCloseTo((60 * SPLIT_MS + ALONE_MS) / 61, 6);
    });

    it.each([
      ["what is no record", '{"kind":"weather"}\n{}\n', /recording.jsonl: line 1: /],
      ["a recording without links", "\n", /no link samples/],
    ])("refuses %s", async (_name, text, message) => {
      await expect(replayRecords(text)).rejects.toThrow(message);
    });
  });

  it("refuses to vary links that are not there", async () => {
    await expect(replay([1], "--vary", "edge:cloud")).rejects.toThrow(
      /no link between these tiers/,
    );
  });

  it("takes thresholds from a configuration, and refuses a broken one", async () => {
    const config = join(directory, "scissiond.yaml");
    const trace = [...Array<number>(5).fill(8), ...Array<number>(20).fill(0.5)];
    await writeFile(config, "thresholds: { minGainPercent: 99 }\n");
    expect((await summary(trace, "--config", config)).switches.adaptive).toBe(0);
    await writeFile(config, "thresholds: { minGain: 99 }\n");
    await expect(replay(trace, "--config", config)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
  });
});
