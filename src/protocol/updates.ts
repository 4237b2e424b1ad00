import { z } from "zod";
import { nameSchema } from "./names.js";
import { planDocumentSchema } from "./plan.js";

/** The WebSocket subprotocol of `/api/v1/updates`. */
export const UPDATES_SUBPROTOCOL = "scission.updates.v1";
export const UPDATES_PATH = "/api/v1/updates";

/** Close codes of the update stream beyond the standard ones. */
export const CLOSE_CODES = {
  /** No `subscribe` within the hello time-out. */
  helloTimeout: 4001,
  /** A message that is no JSON, fits no schema, or came at the wrong moment. */
  protocolError: 4002,
  /** Too slow to take what it is sent, or to acknowledge it. */
  tooSlow: 4003,
  /** Too many connections. */
  tooMany: 4004,
} as const;

const revisionsSchema = z.record(nameSchema, z.number().int().positive());
const nonceSchema = z.string().min(1).max(64);

export const subscribeMessageSchema = z.strictObject({
  type: z.literal("subscribe"),
  role: z.enum(["runtime", "observer"]).default("observer"),
  node: nameSchema.optional(),
  /** Absent: all pipelines. */
  pipelines: z.array(nameSchema).max(1_000).optional(),
  /** What the client holds already; plans it has are not sent again. */
  have: z.strictObject({ epoch: z.string().min(1).max(64), revisions: revisionsSchema }).optional(),
});
export type SubscribeMessage = z.infer<typeof subscribeMessageSchema>;

export const clientMessageSchema = z.discriminatedUnion("type", [
  subscribeMessageSchema,
  /** Taken and in force. */
  z.strictObject({ type: z.literal("ack"), nonce: nonceSchema }),
  /** Refused: the client keeps its last good plans. */
  z.strictObject({ type: z.literal("reject"), nonce: nonceSchema, reason: z.string().max(1_000) }),
]);
export type ClientMessage = z.infer<typeof clientMessageSchema>;

export const serverMessageSchema = z.discriminatedUnion("type", [
  /** The first message: plans the client lacks, and the names of all it may have. Others are gone. */
  z.strictObject({
    type: z.literal("snapshot"),
    epoch: z.string(),
    nonce: nonceSchema,
    revisions: revisionsSchema,
    plans: z.array(planDocumentSchema),
  }),
  z.strictObject({
    type: z.literal("update"),
    epoch: z.string(),
    nonce: nonceSchema,
    plan: planDocumentSchema,
  }),
  z.strictObject({
    type: z.literal("removed"),
    epoch: z.string(),
    nonce: nonceSchema,
    pipeline: nameSchema,
  }),
  /** Nothing older than these revisions will come. Needs no acknowledgement. */
  z.strictObject({ type: z.literal("heartbeat"), epoch: z.string(), revisions: revisionsSchema }),
]);
export type ServerMessage = z.infer<typeof serverMessageSchema>;
