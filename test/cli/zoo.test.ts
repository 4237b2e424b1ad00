import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { zooCommand } from "../../src/cli/zoo.js";
import { parseModel } from "../../src/model/index.js";
import { makeFastDirectory } from "../support/fast-directory.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

let directory: string;
beforeEach(async () => {
  directory = await makeFastDirectory("scissiond-zoo-");
});

describe("scissiond zoo", () => {
  it("writes models and says what it wrote", async () => {
    const terminal = recordTerminal();
    const out = join(directory, "new", "models");
    await runCommandLine(
      zooCommand(terminal),
      ...["mobilenet", "vgg16", "--light", "--out", out, "--json"],
    );
    const { models } = JSON.parse(terminal.output) as {
      models: { name: string; file: string; bytes: number; sha256: string; parameters: number }[];
    };
    expect(models.map((model) => [model.name, model.parameters])).toEqual([
      ["mobilenet", 4_253_864],
      ["vgg16", 138_357_544],
    ]);
    for (const { file, bytes, sha256 } of models) {
      const written = await readFile(file);
      expect(written.byteLength).toBe(bytes);
      expect(createHash("sha256").update(written).digest("hex")).toBe(sha256);
      expect(parseModel(written).outputs).toHaveLength(1);
    }
    expect((await readdir(out)).sort()).toEqual(["mobilenet.onnx", "vgg16.onnx"]);
  });

  it("writes the same file again for the same seed, and another for another", async () => {
    const write = async (seed: string): Promise<Buffer> => {
      const options = ["--light", "--out", directory, "--seed", seed];
      await runCommandLine(zooCommand(recordTerminal()), "mobilenetv2", ...options);
      return readFile(join(directory, "mobilenetv2.onnx"));
    };
    const first = await write("3");
    expect(first.equals(await write("3"))).toBe(true);
    expect(first.equals(await write("4"))).toBe(false);
  });

  it("lists the networks and writes nothing", async () => {
    const terminal = recordTerminal();
    await runCommandLine(zooCommand(terminal), "--list", "--out", directory);
    expect(terminal.output.trimEnd().split("\n")).toHaveLength(18);
    expect(await readdir(directory)).toEqual([]);
  });

  it("refuses unknown names before it writes any", async () => {
    const command = zooCommand(recordTerminal());
    const run = runCommandLine(command, "mobilenet", "alexnet", "--out", directory);
    await expect(run).rejects.toMatchObject({ code: "USAGE" });
    expect(await readdir(directory)).toEqual([]);
  });

  it("leaves what stood there, and no rest, when it is interrupted", async () => {
    const terminal = recordTerminal();
    const file = join(directory, "mobilenet.onnx");
    await writeFile(file, "old");
    const run = runCommandLine(zooCommand(terminal), "mobilenet", "--out", directory);
    terminal.interrupt();
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    expect(await readFile(file, "utf8")).toBe("old");
    expect(await readdir(directory)).toEqual(["mobilenet.onnx"]);
  });

  it("says which file it cannot write, and leaves no rest", async () => {
    const file = join(directory, "mobilenet.onnx");
    await mkdir(file);
    const run = runCommandLine(
      zooCommand(recordTerminal()),
      ...["mobilenet", "--light", "--out", directory],
    );
    await expect(run).rejects.toMatchObject({
      code: "FILE_UNWRITABLE",
      message: expect.stringContaining(file) as string,
    });
    expect(await readdir(directory)).toEqual(["mobilenet.onnx"]);
  });
});
