import { rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkCommand } from "../../src/cli/check.js";
import { makeFastDirectory } from "../support/fast-directory.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

let file: string;
beforeEach(async () => {
  file = join(await makeFastDirectory("scissiond-check-"), "a.yaml");
});
afterEach(() => rm(dirname(file), { recursive: true }));

describe("scissiond check", () => {
  it("prints every error with its line, and ends with 78", async () => {
    await writeFile(file, "sitte: a\nlisten:\n  port: x\n");
    const terminal = recordTerminal();
    await runCommandLine(checkCommand(terminal), file);
    expect(terminal.output.trimEnd().split("\n")).toEqual([
      `${file}:1:1 sitte: unknown key; did you mean "site"?`,
      `${file}:3:9 listen.port: expected number, got string`,
    ]);
    expect(terminal.exitCode).toBe(78);
  });

  it("accepts a valid file, and warns on standard error only", async () => {
    await writeFile(file, "schedule: {timezone: Europe/Berlin}\n");
    const terminal = recordTerminal();
    await runCommandLine(checkCommand(terminal), file);
    expect(terminal.output).toBe("");
    expect(terminal.talk).toContain(`warning: ${file}:1:22 schedule.timezone:`);
    expect(terminal.exitCode).toBe(0);
  });

  it("prints one JSON document with --json", async () => {
    await writeFile(file, "node: {tier: clod}\n");
    const terminal = recordTerminal();
    await runCommandLine(checkCommand(terminal), file, "--kind", "agent", "--json");
    const report = JSON.parse(terminal.output) as { ok: boolean; errors: object[] };
    expect(report.ok).toBe(false);
    expect(report.errors).toContainEqual({
      file,
      line: 1,
      column: 14,
      path: "node.tier",
      message: 'expected one of device, edge, cloud; did you mean "cloud"?',
    });
    expect(terminal.exitCode).toBe(78);
  });

  it("takes variables from the environment", async () => {
    await writeFile(file, "site: ${SITE}\n");
    const terminal = recordTerminal({ SITE: "north" });
    await runCommandLine(checkCommand(terminal), file);
    expect(terminal.exitCode).toBe(0);
  });
});
