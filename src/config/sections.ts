import { z } from "zod";
import { inputBindingSchema, nameSchema } from "../protocol/index.js";
import { mqttOptionsSchema } from "../telemetry/options.js";

const MODELS_MAX = 1_000;
const PATH_LENGTH_MAX = 4_096;

/** A path in a configuration file; a relative one starts at the file's own directory. */
export const pathSchema = z.string().min(1).max(PATH_LENGTH_MAX);

export const siteSchema = nameSchema
  .default("default")
  .describe("Site name: daemon and agents of one installation share it.");

export const nodeNameSchema = nameSchema
  .optional()
  .describe("Name of this node. Default: the host name, in lower case and with - for the rest.");

export const hardwareClassSchema = nameSchema
  .optional()
  .describe(
    "Nodes of one hardware class are equally fast: one profile serves them all. Default: a class of its own, called like the node.",
  );

export const logSchema = z.strictObject({
  level: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .describe("Least important level that is logged."),
});

export const emulateSchema = z.strictObject({
  slowdown: z
    .number()
    .min(1)
    .max(10_000)
    .default(1)
    .describe(
      "For demonstrations: measured compute times are multiplied by this. Shown in status.",
    ),
});

/** Files with the certificates of a client. */
export const clientTlsSchema = z.strictObject({
  caFile: pathSchema.optional().describe("PEM of the authorities to trust."),
  certFile: pathSchema.optional().describe("PEM of the client's own certificate."),
  keyFile: pathSchema.optional().describe("PEM of that certificate's key."),
});

/** Settings of the MQTT client, with secrets and certificates in files. */
export const mqttClientSchema = mqttOptionsSchema.omit({ url: true, tls: true }).extend({
  passwordFile: pathSchema
    .optional()
    .describe("File that holds the password; better than password, which anybody may read here."),
  tls: clientTlsSchema.prefault({}).describe("Certificates for mqtts:// and wss://."),
});

export const brokerUrlSchema = mqttOptionsSchema.shape.url.unwrap();

export const modelSchema = z.strictObject({
  name: nameSchema.describe("Name by which pipelines refer to the model."),
  path: pathSchema.describe("The ONNX file."),
  inputs: z
    .array(
      inputBindingSchema.extend({
        name: inputBindingSchema.shape.name.describe("Name of the input in the model."),
        shape: inputBindingSchema.shape.shape.describe("Its shape, for axes of unknown length."),
        value: inputBindingSchema.shape.value.describe(
          "What every element is set to. Default: seeded random values.",
        ),
        range: inputBindingSchema.shape.range.describe(
          "Least and largest of seeded random values, in place of one value: [0, 255].",
        ),
      }),
    )
    .max(MODELS_MAX)
    .default([])
    .describe("Shapes and values of inputs which the file leaves open."),
  maxCutTensors: z
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe(
      "Most tensors that may cross one cut of this model. Default: benchmark.maxCutTensors.",
    ),
});
export type ModelConfig = z.infer<typeof modelSchema>;

export const modelsSchema = z.array(modelSchema).max(MODELS_MAX);
