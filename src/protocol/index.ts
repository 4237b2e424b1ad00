export {
  type CutPointInfo,
  cutPointSchema,
  type Inspection,
  inspectionSchema,
} from "./inspection.js";
export {
  CONFIRMED_AT_ONCE_MAX,
  type ConfirmedRange,
  confirmedRangeSchema,
  type MeasureAnswer,
  type MeasureCommand,
  type MeasuredLayers,
  measureAnswerSchema,
  measureCommandSchema,
  type RangeMeasurement,
} from "./confirm.js";
export { NODE_COMMANDS, type NodeCommandName } from "./commands.js";
export { type Control, controlSchema, type Pin, pinSchema } from "./control.js";
export { asyncApi, MQTT_CHANNELS } from "./asyncapi.js";
export { messageSchemaDocument } from "./messages.js";
export {
  type BenchmarkAnswer,
  benchmarkAnswerSchema,
  type BenchmarkCommand,
  benchmarkCommandSchema,
  type CommandResponse,
  commandResponseSchema,
  type InputBinding,
  inputBindingSchema,
  type LinkReport,
  linkReportSchema,
  type NodeState,
  nodeStateSchema,
  type Sidecar,
  sidecarSchema,
  sidecarsSchema,
  leaseMsSchema,
  type MissingProvider,
  yieldCommandSchema,
} from "./mqtt.js";
export {
  type ModelRef,
  modelRefSchema,
  nameSchema,
  sha256Schema,
  TIERS,
  type Tier,
  tierSchema,
} from "./names.js";
export { type Parsed, parseJson, parseValue } from "./parse.js";
export {
  type Decision,
  decisionSchema,
  type Hop,
  hopSchema,
  type Partition,
  type PlanDocument,
  partitionSchema,
  planDocumentSchema,
  type Trigger,
  triggerSchema,
} from "./plan.js";
export {
  type BlockProfile,
  blockProfileSchema,
  type Calibration,
  calibrationSchema,
  type Environment,
  environmentSchema,
  equalitySchema,
  type KernelOrder,
  kernelOrderSchema,
  type Noise,
  noiseSchema,
  type Profile,
  profileSchema,
  type SentinelProfile,
  sentinelProfileSchema,
  type TensorInfo,
  tensorInfoSchema,
  type Verified,
  verifiedSchema,
  type WholeProfile,
  wholeProfileSchema,
} from "./profile.js";
export { type BenchmarkProgress, progressSchema } from "./progress.js";
export { type Status, statusSchema } from "./status.js";
export {
  CLOSE_CODES,
  type ClientMessage,
  clientMessageSchema,
  type ReportMessage,
  reportMessageSchema,
  type ServerMessage,
  type SubscribeMessage,
  serverMessageSchema,
  subscribeMessageSchema,
  UPDATES_PATH,
  UPDATES_SUBPROTOCOL,
} from "./updates.js";
export { type Recorded, recordSchema } from "./recording.js";
