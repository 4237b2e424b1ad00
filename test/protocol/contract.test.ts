import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import {
  asyncApi,
  CLOSE_CODES,
  clientMessageSchema,
  MQTT_CHANNELS,
  messageSchemaDocument,
  type PlanDocument,
  planDocumentSchema,
  serverMessageSchema,
} from "../../src/protocol/index.js";
import { formatTopic, type Topic } from "../../src/telemetry/topics.js";

/** Foreign validators get the documents that are published, as JSON. */
const schemas = new Ajv2020({ strict: false, validateFormats: false });
schemas.addSchema(JSON.parse(JSON.stringify(messageSchemaDocument())) as object, "messages");

/** What the published JSON Schema has against the message; empty where it has nothing. */
function complaints(name: string, message: unknown): unknown[] {
  const validate = schemas.getSchema(`messages#/$defs/${name}`);
  if (validate === undefined) return [`no schema of ${name}`];
  return validate(message) === true ? [] : (validate.errors ?? []);
}

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
    expect(complaints("plan", plan)).toEqual([]);
    expect(complaints("plan", { ...plan, revision: 0 })).not.toEqual([]);
  });

  it.each(lines)("%s", (line) => {
    const json = line
      .slice(2)
      .replace("PLAN8", JSON.stringify(plan))
      .replace("PLAN7", JSON.stringify({ ...plan, revision: 7 }));
    const schema = line.startsWith("→") ? clientMessageSchema : serverMessageSchema;
    const message = JSON.parse(json) as { type: string };
    expect(schema.safeParse(message).error).toBeUndefined();
    expect(complaints(message.type, message)).toEqual([]);
    expect(complaints(message.type, { ...message, surprise: 1 })).not.toEqual([]);
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

  it("is valid by the AsyncAPI initiative's own schema, which can say no", async () => {
    const require = createRequire(import.meta.url);
    const path = require.resolve("@asyncapi/specs/schemas/3.0.0.json");
    // The schema brings the meta-schemas that it refers to.
    const ajv = new Ajv({ strict: false, meta: false, validateFormats: false });
    const validate = ajv.compile(JSON.parse(await readFile(path, "utf8")) as object);
    expect([validate(document), validate.errors]).toEqual([true, null]);
    const wrong = structuredClone(document) as { operations: { hearClient: { action: string } } };
    wrong.operations.hearClient.action = "listen";
    expect(validate(wrong)).toBe(false);
  });

  it("has the topics that daemon and agents use", () => {
    const model = "a".repeat(64);
    const topics: Record<keyof typeof MQTT_CHANNELS, Topic> = {
      nodeStates: { kind: "state", node: "NODE" },
      links: { kind: "link", from: "FROM", to: "TO" },
      profiles: { kind: "profile", node: "NODE", modelSha256: model },
      progress: { kind: "progress", node: "NODE" },
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
