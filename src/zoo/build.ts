import { describeModel, type ModelName } from "./catalog.js";
import { type EncodedModel, type EncodeOptions, encodeModel } from "./onnx.js";

/** A model of the zoo as an ONNX file, chunk by chunk; the same options give the same bytes. */
export function encodeNamedModel(name: ModelName, options: EncodeOptions): EncodedModel {
  return encodeModel(describeModel(name), options);
}

/** The same as one array: 17 MB for MobileNet, 553 MB for VGG16, kilobytes for light models. */
export function buildModel(name: ModelName, options: EncodeOptions): Uint8Array {
  const encoded = encodeNamedModel(name, options);
  const bytes = new Uint8Array(encoded.byteLength);
  let offset = 0;
  for (const chunk of encoded.chunks()) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
