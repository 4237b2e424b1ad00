import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { planCommand } from "../../src/cli/plan.js";
import { type RecordedTerminal, recordTerminal, runCommandLine } from "../support/terminal.js";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-plan-"));
  const blocks = (seconds: number[]): object[] =>
    seconds.map((value, layer) => ({
      inputLayer: layer,
      outputLayer: layer,
      seconds: value,
      outputBytes: layer === 0 ? 1_000 : 100_000,
    }));
  const write = (name: string, value: object): Promise<void> =>
    writeFile(join(directory, name), JSON.stringify(value));
  await write("device-cam.json", { net: blocks([0.01, 0.9, 0.9]) });
  await write("edge-42.json", { net: blocks([0.001, 0.01, 0.01]) });
  await write("notes.json", { hello: "world" });
  await writeFile(
    join(directory, "links.csv"),
    "source,destination,ping(ms),bandwidth(mbps)\ncam, 42, 10, 8\n",
  );
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function plan(...args: string[]): Promise<RecordedTerminal> {
  const terminal = recordTerminal();
  const files = ["--profiles", directory, "--links", join(directory, "links.csv")];
  await runCommandLine(planCommand(terminal), ...files, "--model", "net", ...args);
  return terminal;
}

describe("scissiond plan", () => {
  it("prints the document that is promised, and nothing else", async () => {
    const terminal = await plan("--cost-model", "scission", "--top", "1", "--json");
    expect(JSON.parse(terminal.output)).toEqual({
      model: "net",
      plans: [
        {
          rank: 1,
          latencyMs: 10 + 11 + 20,
          transferBytes: 1_000,
          partitions: [
            { tier: "device", node: "cam", firstLayer: 0, lastLayer: 0, computeMs: 10 },
            { tier: "edge", node: "42", firstLayer: 1, lastLayer: 2, computeMs: 20 },
          ],
          hops: [{ from: "cam", to: "42", bytes: 1_000, transferMs: 11 }],
        },
      ],
      infeasible: null,
    });
    expect(terminal.talk).toContain("notes.json is ignored");
    expect(terminal.exitCode).toBe(0);
  });

  it("returns the result and counts half a round trip unless told otherwise", async () => {
    const terminal = await plan("--json", "--top", "1", "--edge", "!-1", "--device", "0");
    const [best] = (JSON.parse(terminal.output) as { plans: { latencyMs: number }[] }).plans;
    expect(best?.latencyMs).toBeCloseTo(10 + (5 + 1) + 20 + (5 + 100), 9);
  });

  it("answers what cannot be met with a reason and exit code 1", async () => {
    const terminal = await plan("--edge", "7", "--json");
    expect(JSON.parse(terminal.output)).toEqual({
      model: "net",
      plans: [],
      infeasible: "layer 7 must run on the edge tier, but the model's last layer is 2",
    });
    expect(terminal.exitCode).toBe(1);
  });

  it("shows a table and a bar for each stage", async () => {
    const { output } = await plan("--cost-model", "scission");
    expect(output).toMatch(/rank +latency +moved +kind +who runs which layers/);
    expect(output).toMatch(/1 +41\.00 ms +0\.0010 MB +distributed +device cam 0–0 → edge 42 1–2/);
    expect(output).toMatch(/cam → 42 +11\.00 ms +█+/);
  });

  it("draws the best plan", async () => {
    const picture = join(directory, "plan.svg");
    await plan("--cost-model", "scission", "--plot", picture);
    expect(await readFile(picture, "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
  });

  it.each([
    [["--edge", "4x"], "USAGE", /no edge node is named "4x"; did you mean "42"/],
    [["--objective", "energy"], "USAGE", /node (cam|42) has no activeWatts/],
    [["--model", "nett"], "USAGE", /did you mean "net"/],
    [["--profiles", "/nowhere"], "PROFILE_INVALID", /\/nowhere cannot be read/],
    [["--links", "/nowhere.csv"], "LINKS_INVALID", /\/nowhere.csv cannot be read/],
    [["--by-layers", "/nowhere.onnx"], "MODEL_UNREADABLE", /\/nowhere.onnx cannot be read/],
  ])("refuses %j", async (args, code, message) => {
    await expect(plan(...args)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });
});
