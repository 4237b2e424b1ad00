import { z } from "zod";
import { isLoopback } from "../core/index.js";
import { nameSchema, sha256Schema } from "../protocol/index.js";

const seconds = z.number().positive().max(3_600);

/** Limits of the update stream: what one client may cost, and how long it is waited for. */
export const streamOptionsSchema = z.strictObject({
  subscribersMax: z
    .number()
    .int()
    .positive()
    .max(100_000)
    .default(10_000)
    .describe("Subscribers held at once; further ones are refused with HTTP status 503."),
  subscribersPerAddressMax: z
    .number()
    .int()
    .positive()
    .max(100_000)
    .default(256)
    .describe("Subscribers held at once from one address; further ones get HTTP status 429."),
  helloTimeoutSeconds: seconds
    .default(10)
    .describe("A client that has not subscribed by then is closed with code 4001."),
  flushTimeoutSeconds: seconds
    .default(15)
    .describe("A client that does not take a frame within this time is closed with code 4003."),
  ackTimeoutSeconds: seconds
    .default(30)
    .describe("A runtime that does not answer a frame within this time is closed with code 4003."),
  heartbeatSeconds: seconds
    .default(15)
    .describe("How often every client is told the current revisions."),
  pingSeconds: seconds
    .default(20)
    .describe("How often a client is pinged; after two pings without an answer it is dropped."),
  closeGraceSeconds: seconds
    .default(2)
    .describe("How long a client may take to finish a close before its socket is destroyed."),
  messageBytesMax: z
    .number()
    .int()
    .min(1_024)
    .max(1_048_576)
    .default(65_536)
    .describe("Largest message a client may send."),
  messagesPerSecondMax: z
    .number()
    .int()
    .positive()
    .default(50)
    .describe("Messages a client may send in one second before it is closed with code 4002."),
  reportsPerMinuteMax: z
    .number()
    .int()
    .positive()
    .default(120)
    .describe("Measurements taken from one runtime in a minute; further ones are dropped."),
});
export type StreamOptions = z.infer<typeof streamOptionsSchema>;

/** How long runtimes are waited for when a new plan comes into force at all of them at once. */
export const rolloutOptionsSchema = z.strictObject({
  prepareTimeoutSeconds: seconds
    .default(120)
    .describe(
      "Time in which every runtime of a new plan must have loaded its part; else nobody switches.",
    ),
  activateTimeoutSeconds: seconds
    .default(30)
    .describe(
      "Time in which every runtime must have switched; else all return to the configuration before.",
    ),
});
export type RolloutOptions = z.infer<typeof rolloutOptionsSchema>;

/** Limits of plain HTTP requests. */
export const httpOptionsSchema = z.strictObject({
  connectionsMax: z
    .number()
    .int()
    .positive()
    .max(120_000)
    .default(11_000)
    .describe("Open sockets of all kinds; further ones are closed at once."),
  headersTimeoutSeconds: seconds
    .default(10)
    .describe("Time in which a client must have sent its request headers."),
  requestTimeoutSeconds: seconds
    .default(30)
    .describe("Time in which a client must have sent its whole request."),
  idleTimeoutSeconds: seconds
    .default(60)
    .describe("A plain HTTP socket on which nothing moves for this long is closed."),
  headerBytesMax: z
    .number()
    .int()
    .min(1_024)
    .max(65_536)
    .default(16_384)
    .describe("Largest request headers, in bytes."),
});
export type HttpOptions = z.infer<typeof httpOptionsSchema>;

const PATH_LENGTH_MAX = 4_096;
const CLIENTS_MAX = 10_000;
const pathSchema = z.string().min(1).max(PATH_LENGTH_MAX);

/** Certificates of the HTTP port, as PEM files. */
export const tlsOptionsSchema = z.strictObject({
  certFile: pathSchema.describe(
    "PEM of the daemon's certificate, with those between it and the root.",
  ),
  keyFile: pathSchema.describe("PEM of that certificate's key."),
  clientCaFile: pathSchema
    .optional()
    .describe("PEM of the authorities that sign client certificates."),
});
export type TlsOptions = z.infer<typeof tlsOptionsSchema>;

/** Somebody who may connect. Tokens themselves stand nowhere; only their hashes do. */
export const clientOptionsSchema = z
  .strictObject({
    name: nameSchema.describe("For the log."),
    role: z
      .enum(["observer", "runtime", "admin"])
      .describe(
        "`observer` reads; `runtime` also takes part in switches of its nodes and downloads models; `admin` may do everything.",
      ),
    nodes: z
      .array(nameSchema)
      .max(1_000)
      .default([])
      .describe("The nodes for which a runtime may speak."),
    tokenSha256: sha256Schema
      .optional()
      .describe("SHA-256 of its bearer token: `printf %s TOKEN | sha256sum`."),
    certificateName: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe("Common name of its client certificate, in place of a token."),
  })
  .refine(
    (client) => (client.tokenSha256 === undefined) !== (client.certificateName === undefined),
    {
      message: "give either tokenSha256 or certificateName",
    },
  )
  .refine((client) => client.role !== "runtime" || client.nodes.length > 0, {
    message: "a runtime needs at least one node",
    path: ["nodes"],
  });
export type ClientOptions = z.infer<typeof clientOptionsSchema>;

/** The daemon's one HTTP port: API, update stream, artifacts, metrics. */
export const publisherOptionsSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on. Beyond loopback it needs tls and clients."),
  port: z.number().int().min(0).max(65_535).default(8420).describe("TCP port; 0 takes a free one."),
  allowUnprotected: z
    .boolean()
    .default(false)
    .describe(
      "Listen beyond loopback without tls or without clients, so that strangers can read, or act.",
    ),
  tls: tlsOptionsSchema
    .optional()
    .describe("Certificates; without them the port speaks plain HTTP."),
  clients: z
    .array(clientOptionsSchema)
    .max(CLIENTS_MAX)
    .default([])
    .describe("Who may connect. Empty: everybody, as admin. A reload changes them at once."),
  allowedOrigins: z
    .array(z.url())
    .max(100)
    .default([])
    .describe("Web origins, besides the daemon's own, whose pages may open the update stream."),
  http: httpOptionsSchema.prefault({}).describe("Limits of plain HTTP requests."),
  stream: streamOptionsSchema.prefault({}).describe("Limits of the update stream."),
  rollout: rolloutOptionsSchema
    .prefault({})
    .describe("How long runtimes are waited for before and while they switch to a new plan."),
});
export type PublisherOptions = z.infer<typeof publisherOptionsSchema>;

/** Whether strangers on other machines are kept out: nobody else comes in, and nobody else listens. */
export function isProtected({ host, tls, clients }: PublisherOptions): boolean {
  return isLoopback(host) || (tls !== undefined && clients.length > 0);
}
