import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectionSchema, profileSchema } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import { chain, dice, loop, type ModelDirectory, modelDirectory } from "../support/small-models.js";

const CLI = createRequire(import.meta.url).resolve("#cli");

let models: ModelDirectory;
let temporary: string;
beforeAll(() => {
  models = modelDirectory();
  temporary = mkdtempSync(join(tmpdir(), "scissiond-test-"));
});
afterAll(() => {
  models.remove();
  rmSync(temporary, { recursive: true, force: true });
});

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

function run(...args: string[]): Promise<Outcome> {
  return runIn(process.cwd(), args);
}

function runIn(cwd: string, args: readonly string[]): Promise<Outcome> {
  const env = { ...process.env, TMPDIR: temporary };
  return new Promise<Outcome>((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env, cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Ids of the processes whose parent is `pid`. */
function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    // A zombie that nobody has reaped yet is dead.
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

async function spawnHanging(): Promise<{ parent: ChildProcess; child: number }> {
  const parent = spawn(process.execPath, [CLI, "bench", models.write("h.onnx", loop(2 ** 52))], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: "ignore",
  });
  const child = await until(() => childrenOf(parent.pid!)[0], { what: "the child" });
  return { parent, child };
}

describe("scissiond bench", () => {
  it("prints one valid JSON document and nothing else", async () => {
    const path = models.write("chain.onnx", chain());
    const { code, stdout, stderr } = await run(
      ...["bench", path, "--json", "--tier", "cloud", "--node", "gpu-1", "--model-name", "mine"],
      ...["--repeats", "2", "--input", "x=1x4:0.5", "--slowdown", "3"],
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const profile = profileSchema.parse(JSON.parse(stdout));
    expect(profile.model.name).toBe("mine");
    expect(profile.node).toEqual({ tier: "cloud", name: "gpu-1", hardwareClass: "gpu-1" });
    expect(profile.blocks).toHaveLength(3);
    expect(profile.environment.emulatedSlowdown).toBe(3);
  });

  it("prints a table for people, with names made harmless", async () => {
    const path = models.write("chain.onnx", chain({ a: "evil\u001b[31m\nname" }));
    const { code, stdout } = await run("bench", path, "--repeats", "1");
    expect(code).toBe(0);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("evil\\u{1b}[31m\\u{a}name float32[1×4]");
    expect(stdout).toContain("the chained blocks compute what the model computes");
  });

  it("ends at --timeout with an error, and leaves no child and no file", async () => {
    const path = models.write("hang.onnx", loop(2 ** 52));
    const { code, stdout, stderr } = await run("bench", path, "--json", "--timeout", "1");
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toContain("not finished after 1 s");
    expect(readdirSync(temporary)).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "leaves no child and no file after %s",
    async (signal) => {
      const { parent, child } = await spawnHanging();
      parent.kill(signal);
      await until(() => !isAlive(child) && !isAlive(parent.pid!), { what: "the end of both" });
      await until(() => readdirSync(temporary).length === 0, { what: "the removal of its files" });
    },
  );

  it.each([
    [["bench", "missing.onnx"], 1, "cannot read the model"],
    [["bench"], 2, "missing required argument"],
    [["bench", "m.onnx", "--tier", "moon"], 2, "Allowed choices"],
    [["bench", "m.onnx", "--repeats", "many"], 2, "a whole number"],
    [["bench", "m.onnx", "--timeout", "0"], 2, "a number"],
    [["bench", "m.onnx", "--input", "x=2xx"], 2, "no length"],
  ])("%j ends with %i", async (args, expected, text) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toContain(text);
    expect(code).toBe(expected);
    expect(stdout).toBe("");
  });

  it("fails on a model that cannot be checked", async () => {
    const { code, stderr } = await run("bench", models.write("dice.onnx", dice()), "--json");
    expect(code).toBe(1);
    expect(stderr).toContain("two runs of the whole model");
  });
});

describe("scissiond inspect", () => {
  it("prints one valid JSON document, or a table", async () => {
    const path = models.write("chain.onnx", chain());
    const json = await run("inspect", path, "--json");
    expect(json.stderr).toBe("");
    expect(inspectionSchema.parse(JSON.parse(json.stdout)).cutPoints).toHaveLength(2);
    const table = await run("inspect", path);
    expect(table.stdout).toContain("3 layers, 2 cut points");
  });

  it("takes a relative path from where it is called", async () => {
    const { code } = await runIn(dirname(models.write("chain.onnx", chain())), [
      "inspect",
      "chain.onnx",
    ]);
    expect(code).toBe(0);
  });

  it("says honestly that a model cannot be split", async () => {
    const { code, stdout } = await run("inspect", models.write("loop.onnx", loop(3)));
    expect(code).toBe(0);
    expect(stdout).toContain("cannot be split");
  });
});
