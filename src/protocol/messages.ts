import { z } from "zod";
import { measureAnswerSchema, measureCommandSchema } from "./confirm.js";
import {
  commandResponseSchema,
  benchmarkAnswerSchema,
  benchmarkCommandSchema,
  yieldCommandSchema,
  linkReportSchema,
  nodeStateSchema,
} from "./mqtt.js";
import { planDocumentSchema } from "./plan.js";
import { profileSchema } from "./profile.js";
import { progressSchema } from "./progress.js";
import { statusSchema } from "./status.js";
import { clientMessageSchema, serverMessageSchema } from "./updates.js";

const MQTT_SCHEMAS = {
  nodeState: nodeStateSchema,
  linkReport: linkReportSchema,
  profile: profileSchema,
  benchmarkCommand: benchmarkCommandSchema,
  benchmarkAnswer: benchmarkAnswerSchema,
  yieldCommand: yieldCommandSchema,
  progress: progressSchema,
  measureCommand: measureCommandSchema,
  measureAnswer: measureAnswerSchema,
  commandResponse: commandResponseSchema,
  plan: planDocumentSchema,
} as const;

export type MqttMessageName = keyof typeof MQTT_SCHEMAS;

/** The types of the update stream's messages, in the order of the schemas. */
export const CLIENT_MESSAGE_TYPES = clientMessageSchema.options.map(typeOf);
export const SERVER_MESSAGE_TYPES = serverMessageSchema.options.map(typeOf);

/** JSON Schema (2020-12) of every message by name; those of the update stream are named by type. */
export function messageSchemas(): Record<string, object> {
  return {
    ...Object.fromEntries(
      [...clientMessageSchema.options, ...serverMessageSchema.options].map((schema) => [
        typeOf(schema),
        jsonSchema(schema),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(MQTT_SCHEMAS).map(([name, schema]) => [name, jsonSchema(schema)]),
    ),
    status: jsonSchema(statusSchema),
  };
}

function typeOf(schema: { shape: { type: z.ZodLiteral<string> } }): string {
  return schema.shape.type.value;
}

/** What a sender may write: members with a default may be left out. */
function jsonSchema(schema: z.ZodType): object {
  const document = z.toJSONSchema(schema, { io: "input" });
  // The document around it says which dialect this is.
  delete document.$schema;
  return document;
}

/** All of them in one document, for validators. */
export function messageSchemaDocument(): object {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Messages of scissiond: update stream, MQTT and HTTP",
    $defs: messageSchemas(),
  };
}
