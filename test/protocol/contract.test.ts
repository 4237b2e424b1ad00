import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  asyncApi,
  CLOSE_CODES,
  clientMessageSchema,
  MQTT_CHANNELS,
  type PlanDocument,
  planDocumentSchema,
  serverMessageSchema,
} from "../../src/protocol/index.js";
import { formatTopic, type Topic } from "../../src/telemetry/topics.js";

const PROTOCOL = join(import.meta.dirname, "../../docs/protocol.md");
const page = await readFile(PROTOCOL, "utf8");

function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm");
  return [...page.matchAll(fence)].map(([, text]) => text!);
}

describe("docs/protocol.md", () => {
  const plan = JSON.parse(blocks("json")[0]!) as PlanDocument;
  const lines = blocks("text").flatMap((block) => block.trim().split("\n"));

  it("shows a plan that is one", () => {
    expect(planDocumentSchema.safeParse(plan).error).toBeUndefined();
  });

  it.each(lines)("%s", (line) => {
    const json = line
      .slice(2)
      .replace("PLAN8", JSON.stringify(plan))
      .replace("PLAN7", JSON.stringify({ ...plan, revision: 7 }));
    const schema = line.startsWith("→") ? clientMessageSchema : serverMessageSchema;
    expect(schema.safeParse(JSON.parse(json)).error).toBeUndefined();
  });

  it("shows or names every message and every close code", () => {
    const types = [...clientMessageSchema.options, ...serverMessageSchema.options].map(
      (option) => option.shape.type.value,
    );
    for (const type of types) expect(page).toMatch(new RegExp(`\`${type}\`|"type":"${type}"`));
    const sent = Object.entries(CLOSE_CODES).filter(([cause]) => cause !== "tooMany");
    for (const [, code] of sent) expect(page).toContain(`| ${code} |`);
  });
});

describe("asyncapi.json", () => {
  const document = asyncApi("1.2.3");

  it("refers only to what it holds", () => {
    const references: string[] = [];
    JSON.stringify(document, (key, value: unknown) => {
      if (key === "$ref" && typeof value === "string") references.push(value);
      return value;
    });
    expect(references.length).toBeGreaterThan(50);
    for (const reference of references) {
      const path = reference.replace(/^#\//, "").split("/");
      const target = path.reduce<unknown>(
        (at, name) => (at as Record<string, unknown> | undefined)?.[name],
        document,
      );
      expect(target, reference).toBeDefined();
    }
  });

  it("has the topics that daemon and agents use", () => {
    const model = "a".repeat(64);
    const topics: Record<keyof typeof MQTT_CHANNELS, Topic> = {
      nodeStates: { kind: "state", node: "NODE" },
      links: { kind: "link", from: "FROM", to: "TO" },
      profiles: { kind: "profile", node: "NODE", modelSha256: model },
      commands: { kind: "command", node: "NODE", name: "COMMAND" },
      responses: { kind: "response", node: "NODE", name: "COMMAND" },
      plans: { kind: "partitions", pipeline: "PIPELINE" },
    };
    const values = { site: "SITE", node: "NODE", from: "FROM", to: "TO", command: "COMMAND" };
    for (const [name, topic] of Object.entries(topics)) {
      const { address } = MQTT_CHANNELS[name as keyof typeof topics];
      const filled = Object.entries({ ...values, pipeline: "PIPELINE", model }).reduce(
        (text, [parameter, value]) => text.replace(`{${parameter}}`, value),
        `scission/v1/{site}/${address}`,
      );
      expect(filled).toBe(formatTopic("SITE", topic));
    }
  });
});
