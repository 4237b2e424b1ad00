import { z } from "zod";
import { benchmarkOptionsSchema } from "../benchmark/options.js";
import { tierSchema } from "../protocol/index.js";
import { peerSchema, probeOptionsSchema, probeServerOptionsSchema } from "../telemetry/options.js";
import {
  brokerUrlSchema,
  clientTlsSchema,
  emulateSchema,
  hardwareClassSchema,
  logSchema,
  mqttClientSchema,
  nodeNameSchema,
  pathSchema,
  siteSchema,
} from "./sections.js";

const LINKS_MAX = 1_000;

/** The file of `scissiond agent --config`. */
export const agentFileSchema = z.strictObject({
  site: siteSchema,
  node: z
    .strictObject({
      name: nodeNameSchema,
      tier: tierSchema.describe("device, edge or cloud."),
      hardwareClass: hardwareClassSchema,
    })
    .describe("This node."),
  stateDirectory: pathSchema
    .default("/var/lib/scissiond-agent")
    .describe("Where downloaded models are kept."),
  log: logSchema.prefault({}).describe("The log: JSON lines on standard output."),
  daemonUrl: z
    .url({ protocol: /^https?$/ })
    .describe('The daemon\'s HTTP port, from which models are downloaded: "http://edge-1:8420".'),
  daemonTokenFile: pathSchema
    .optional()
    .describe("File that holds the bearer token for daemonUrl, of a client with the role runtime."),
  daemonTls: clientTlsSchema
    .prefault({})
    .describe("Certificates for daemonUrl, if it is https://."),
  mqtt: mqttClientSchema
    .extend({ url: brokerUrlSchema.describe('The broker\'s address: "mqtt://edge-1:1883".') })
    .describe("MQTT, by which this node reports."),
  probeServer: probeServerOptionsSchema
    .prefault({})
    .describe("Answers the link measurements of other nodes."),
  probe: probeOptionsSchema.prefault({}).describe("How this node measures its own links."),
  links: z
    .array(peerSchema)
    .max(LINKS_MAX)
    .default([])
    .describe("Nodes to which this node measures the link."),
  limits: z
    .strictObject({
      modelBytesMax: z
        .number()
        .int()
        .min(1)
        .max(1_099_511_627_776)
        .default(2_147_483_647)
        .describe("Largest file of a model that is downloaded."),
      cacheBytesMax: z
        .number()
        .int()
        .min(1)
        .default(8_589_934_592)
        .describe("All downloaded models together; the longest unused go first."),
      downloadTimeoutMs: z
        .number()
        .int()
        .min(1_000)
        .max(86_400_000)
        .default(600_000)
        .describe("How long the download of one model may take."),
    })
    .prefault({})
    .describe("Limits of downloaded models."),
  benchmark: benchmarkOptionsSchema.prefault({}).describe("How models are benchmarked here."),
  emulate: emulateSchema.prefault({}).describe("Emulation, for demonstrations."),
});
export type AgentFile = z.infer<typeof agentFileSchema>;
