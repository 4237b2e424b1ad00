import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import {
  agentFileSchema,
  daemonFileSchema,
  formatProblems,
  loadAgentConfig,
  loadDaemonConfig,
} from "../../src/config/index.js";

const CONFIG = join(import.meta.dirname, "../../config");

/** The file with the lines of its commented examples put in force. */
function withExamples(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.replace(/^( *)# ?(?=( *- |[ ]*\w+:( |$)))/, "$1"));
  // An example of a list follows the empty list that it replaces.
  return lines.filter((line) => !line.endsWith(": []")).join("\n");
}

describe("the shipped configuration", () => {
  it("is valid as it is, without a warning", async () => {
    const daemon = await loadDaemonConfig(join(CONFIG, "scissiond.yaml"), {});
    const agent = await loadAgentConfig(join(CONFIG, "agent.yaml"), {});
    expect(daemon.ok ? "" : formatProblems(daemon.errors)).toBe("");
    expect(agent.ok ? "" : formatProblems(agent.errors)).toBe("");
    expect([...daemon.warnings, ...agent.warnings]).toEqual([]);
  });

  it("of the daemon shows the defaults and nothing else", async () => {
    const shown: unknown = parse(await readFile(join(CONFIG, "scissiond.yaml"), "utf8"));
    expect(daemonFileSchema.parse(shown)).toEqual(daemonFileSchema.parse({}));
  });

  it("of the agent shows the defaults, except for what every site must set", async () => {
    const text = await readFile(join(CONFIG, "agent.yaml"), "utf8");
    const shown = parse(text.replace(/\$\{\w+:-([^}]*)\}/g, "$1")) as Record<string, unknown>;
    const { daemonUrl } = shown;
    const required = {
      daemonUrl,
      node: { tier: "device" },
      mqtt: { url: "mqtt://127.0.0.1:1883" },
    };
    expect(agentFileSchema.parse(shown)).toEqual(agentFileSchema.parse(required));
  });

  it.each([
    ["scissiond.yaml", daemonFileSchema],
    ["agent.yaml", agentFileSchema],
  ] as const)("%s has examples that are valid", async (name, schema) => {
    const text = (await readFile(join(CONFIG, name), "utf8")).replace(/\$\{\w+:-([^}]*)\}/g, "$1");
    const examples = withExamples(text);
    expect(examples).toContain("\nlinks:\n  - { to:");
    expect(schema.safeParse(parse(examples)).error?.issues).toBeUndefined();
  });

  it("names its JSON Schema for editors on the first line", async () => {
    for (const name of ["scissiond.yaml", "agent.yaml"]) {
      const [first] = (await readFile(join(CONFIG, name), "utf8")).split("\n");
      const path = first?.replace("# yaml-language-server: $schema=", "") ?? "";
      expect(JSON.parse(await readFile(join(CONFIG, path), "utf8"))).toHaveProperty("properties");
    }
  });
});
