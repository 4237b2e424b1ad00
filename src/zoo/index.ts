export { buildModel, encodeNamedModel } from "./build.js";
export { describeModel, isModelName, MODEL_NAMES, type ModelName } from "./catalog.js";
export { countParameters, type Graph, type ParameterCounts } from "./graph.js";
export type { EncodedModel, EncodeOptions } from "./onnx.js";
