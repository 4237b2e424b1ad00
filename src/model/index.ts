export { type Block, blocksOf, type CutPoint, findCutPoints } from "./cuts.js";
export { whatIsWrongWithLocation } from "./external-location.js";
export { inlineExternalData, type ReadExternal } from "./external-data.js";
export { extractSubModel, type LayerRange, type SubModel, tensorsAcross } from "./extract.js";
export { withExtraOutputs, withInputsOf, withNamedLayers } from "./extra-outputs.js";
export type { Layer } from "./layers.js";
export {
  type CutOptions,
  cutOptionsSchema,
  type ModelLimits,
  modelLimitsSchema,
} from "./options.js";
export { type GraphOutline, outlineOf } from "./outline.js";
export { type OnnxModel, parseModel } from "./parse.js";
export { neededConstants, withShapeConstants } from "./shape-constants.js";
export type { TensorValue, ValueInfo } from "./value-info.js";
// The messages of an ONNX file, for those who write one.
export {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.js";
