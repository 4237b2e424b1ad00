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
  /** Another runtime subscribed for the same node and pipelines: the newest one counts. */
  replaced: 4005,
  /** Not in the role that the client has, or no longer. */
  forbidden: 4006,
} as const;

const revisionSchema = z.number().int().positive();
const revisionsSchema = z.record(nameSchema, revisionSchema);
const nonceSchema = z.string().min(1).max(64);

export const subscribeMessageSchema = z.strictObject({
  type: z.literal("subscribe"),
  role: z.enum(["runtime", "observer"]).default("observer"),
  node: nameSchema.optional(),
  /** Absent: all pipelines. */
  pipelines: z.array(nameSchema).max(1_000).optional(),
  /** What the client holds already; plans it has are not sent again. */
  have: z
    .strictObject({
      epoch: z.string().min(1).max(64),
      revisions: revisionsSchema,
      /** Revisions that were prepared on an earlier connection and are still loaded. */
      prepared: revisionsSchema.optional(),
    })
    .optional(),
});
export type SubscribeMessage = z.infer<typeof subscribeMessageSchema>;

const STAGES_MAX = 64;
const measuredMs = z.number().nonnegative().max(86_400_000);

/** What a runtime measured while it served. Only the part about its own node is believed. */
export const reportMessageSchema = z.strictObject({
  type: z.literal("report"),
  pipeline: nameSchema,
  revision: revisionSchema,
  /** Mean time of each stage over the requests since the last report. */
  stages: z.array(z.strictObject({ node: nameSchema, computeMs: measuredMs })).max(STAGES_MAX),
  transfers: z
    .array(
      z.strictObject({
        from: nameSchema,
        to: nameSchema,
        bytes: z.number().int().nonnegative(),
        transferMs: measuredMs,
      }),
    )
    .max(STAGES_MAX),
  /** The node has more requests than it can serve. */
  busy: z.boolean(),
});
export type ReportMessage = z.infer<typeof reportMessageSchema>;

export const clientMessageSchema = z.discriminatedUnion("type", [
  subscribeMessageSchema,
  /**
   * Answer of a runtime to `snapshot`, `update` and `removed`: in force, and no request that began
   * here on an older revision is under way.
   */
  z.strictObject({ type: z.literal("ack"), nonce: nonceSchema }),
  /** Answer to `prepare`: loaded beside what is in force, and kept until `activate` or `abort`. */
  z.strictObject({ type: z.literal("ready"), nonce: nonceSchema }),
  /** Answer to `activate`: as `ack`. */
  z.strictObject({ type: z.literal("active"), nonce: nonceSchema }),
  /** Refused: the client keeps its last good plans. */
  z.strictObject({ type: z.literal("reject"), nonce: nonceSchema, reason: z.string().max(1_000) }),
  reportMessageSchema,
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
  /** To a runtime: load this beside what is in force, then answer `ready` or `reject`. */
  z.strictObject({
    type: z.literal("prepare"),
    epoch: z.string(),
    nonce: nonceSchema,
    plan: planDocumentSchema,
  }),
  /** Every participant is ready: begin new requests on the prepared revision, then answer `active`. */
  z.strictObject({
    type: z.literal("activate"),
    epoch: z.string(),
    nonce: nonceSchema,
    pipeline: nameSchema,
    revision: revisionSchema,
  }),
  /** The prepared revision will never be in force: forget it. Needs no answer. */
  z.strictObject({
    type: z.literal("abort"),
    epoch: z.string(),
    nonce: nonceSchema,
    pipeline: nameSchema,
    revision: revisionSchema,
  }),
  /** This revision is in force at every participant: forget all older ones. Needs no answer. */
  z.strictObject({
    type: z.literal("retire"),
    epoch: z.string(),
    nonce: nonceSchema,
    pipeline: nameSchema,
    revision: revisionSchema,
  }),
  /** Nothing older than these revisions will come. Needs no acknowledgement. */
  z.strictObject({ type: z.literal("heartbeat"), epoch: z.string(), revisions: revisionsSchema }),
]);
export type ServerMessage = z.infer<typeof serverMessageSchema>;
