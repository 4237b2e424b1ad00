import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  asyncApi,
  CLOSE_CODES,
  clientMessageSchema,
  commandResponseSchema,
  controlSchema,
  decisionSchema,
  linkReportSchema,
  MQTT_CHANNELS,
  messageSchemaDocument,
  NODE_COMMANDS,
  nodeStateSchema,
  type PlanDocument,
  planDocumentSchema,
  progressSchema,
  serverMessageSchema,
  sidecarSchema,
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

  it("names every MQTT topic with its messages", () => {
    for (const { address, messages, isRetained } of Object.values(MQTT_CHANNELS)) {
      const topic = address.replace("{model}", "<model sha256>").replace(/{(\w+)}/g, "<$1>");
      const names = messages.map((name) => `\`${name}\``).join(", ");
      const row = page.split("\n").find((line) => line.startsWith(`| \`${topic}\` |`));
      expect(row?.split("|").slice(4, 6), topic).toEqual([
        ` ${isRetained ? "yes" : "no"} `,
        ` ${names} `,
      ]);
    }
  });

  it("has a paragraph for every command of agents, and no other", () => {
    const commands = [...page.matchAll(/^\*\*`(\w+)`\*\*: /gm)].map(([, name]) => name);
    expect(commands).toEqual(Object.keys(NODE_COMMANDS));
  });

  const commands = Object.entries(NODE_COMMANDS).flatMap(([name, { command, answer }]) => [
    [`command ${name}`, command] as const,
    ...(answer === null ? [] : [[`answer of ${name}`, answer] as const]),
  ]);
  it.each<readonly [string, z.ZodType]>([
    ["plan", planDocumentSchema],
    ["decision", decisionSchema],
    ["sidecar", sidecarSchema],
    ["control", controlSchema],
    ["client's message", clientMessageSchema],
    ["daemon's message", serverMessageSchema],
    ["node's state", nodeStateSchema],
    ["link report", linkReportSchema],
    ["progress", progressSchema],
    ["response", commandResponseSchema],
    ...commands,
  ])("names every member and every word of a %s", (_, schema) => {
    const named = new Set(
      [...page.matchAll(/`[^`\n]+`|"\w+"/g)].flatMap(([quoted]) => quoted.match(/\w+/g) ?? []),
    );
    expect([...wordsOf(schema)].filter((word) => !named.has(word))).toEqual([]);
    expect([...wordsOf(z.strictObject({ unheardOf: schema }))]).toContain("unheardOf");
  });
});

/** Profiles and what they hold are left to the generated schemas, as the page says. */
const LEFT_TO_SCHEMAS = new Set(["environment"]);

/** Names of members and of choices, wherever in the schema they stand. */
function wordsOf(schema: z.ZodType): Set<string> {
  const words = new Set<string>();
  const visit = (value: unknown, isMembers: boolean): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (isMembers) words.add(key);
      else if (key === "enum") for (const word of inner as string[]) words.add(word);
      else if (key === "const" && typeof inner === "string") words.add(inner);
      if (!isMembers || !LEFT_TO_SCHEMAS.has(key)) visit(inner, !isMembers && key === "properties");
    }
  };
  visit(z.toJSONSchema(schema, { io: "input" }), false);
  return words;
}

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
