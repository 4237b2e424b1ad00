import { z } from "zod";
import { benchmarkOptionsSchema } from "../benchmark/options.js";
import { DEFAULT_SOURCE_RULES, driftOptionsSchema, sourceRulesSchema } from "../drift/options.js";
import { publisherOptionsSchema } from "../publisher/options.js";
import { recorderOptionsSchema, storeOptionsSchema } from "../store/options.js";
import {
  brokerOptionsSchema,
  peerSchema,
  probeOptionsSchema,
  probeServerOptionsSchema,
} from "../telemetry/options.js";
import { confirmSchema } from "./confirm.js";
import { pipelineSchema } from "./pipelines.js";
import { scheduleSchema } from "./schedule.js";
import {
  brokerUrlSchema,
  emulateSchema,
  hardwareClassSchema,
  logSchema,
  modelsSchema,
  mqttClientSchema,
  nodeNameSchema,
  pathSchema,
  siteSchema,
} from "./sections.js";

const LINKS_MAX = 1_000;
const PIPELINES_MAX = 1_000;

/** The file of `scissiond run --config`. */
export const daemonFileSchema = z.strictObject({
  site: siteSchema,
  node: z
    .strictObject({ name: nodeNameSchema, hardwareClass: hardwareClassSchema })
    .prefault({})
    .describe("This edge node."),
  stateDirectory: pathSchema
    .default("/var/lib/scissiond")
    .describe("Where plans, profiles and sub-models are kept. One daemon per directory."),
  log: logSchema.prefault({}).describe("The log: JSON lines on standard output."),
  listen: publisherOptionsSchema
    .prefault({})
    .describe("The HTTP port: update stream, API, artifacts, metrics."),
  mqtt: mqttClientSchema
    .extend({
      url: brokerUrlSchema
        .optional()
        .describe("The broker's address. Default: the broker inside the daemon."),
      broker: brokerOptionsSchema
        .omit({ username: true, password: true })
        .prefault({})
        .describe("The broker inside the daemon, used without url. It asks for the login above."),
    })
    .prefault({})
    .describe("MQTT, by which device and cloud report."),
  telemetry: z
    .strictObject({
      sources: sourceRulesSchema
        .default(DEFAULT_SOURCE_RULES)
        .describe(
          "How much sources of link reports count, by their names; the first rule that fits decides. A report without a source is of unnamed.",
        ),
    })
    .prefault({})
    .describe("What is taken from link reports."),
  probeServer: probeServerOptionsSchema
    .prefault({})
    .describe("Answers the link measurements of other nodes."),
  probe: probeOptionsSchema.prefault({}).describe("How this node measures its own links."),
  links: z
    .array(peerSchema)
    .max(LINKS_MAX)
    .default([])
    .describe("Nodes to which this node measures the link itself."),
  models: modelsSchema.default([]).describe("The models that are served."),
  pipelines: z
    .array(pipelineSchema)
    .max(PIPELINES_MAX)
    .default([])
    .describe("Which model is served for which devices."),
  schedule: scheduleSchema.prefault({}).describe("When models are benchmarked anew."),
  thresholds: driftOptionsSchema
    .prefault({})
    .describe("What counts as drift, and what a new plan must gain."),
  benchmark: benchmarkOptionsSchema.prefault({}).describe("How models are benchmarked here."),
  confirm: confirmSchema
    .prefault({})
    .describe("How the partitions of a plan are measured before it is published."),
  store: storeOptionsSchema.prefault({}).describe("Limits of what is kept."),
  recording: recorderOptionsSchema
    .prefault({})
    .describe("Records telemetry and decisions in stateDirectory/recording."),
  emulate: emulateSchema.prefault({}).describe("Emulation, for demonstrations."),
});
export type DaemonFile = z.infer<typeof daemonFileSchema>;
