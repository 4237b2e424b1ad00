import { describeModel, type ModelName } from "./catalog.js";
import { concatenate, type EncodedModel, type EncodeOptions, encodeModel } from "./onnx.js";

/** A model of the zoo as an ONNX file, chunk by chunk; the same options give the same bytes. */
export function encodeNamedModel(name: ModelName, options: EncodeOptions): EncodedModel {
  return encodeModel(describeModel(name), options);
}

/** The same as one array: 14 MB for MobileNet, 553 MB for VGG16, kilobytes for light models. */
export function buildModel(name: ModelName, options: EncodeOptions): Uint8Array {
  const encoded = encodeNamedModel(name, options);
  return concatenate(encoded.chunks(), encoded.byteLength);
}
