import { type OnnxModel, parseModel } from "../model/index.js";
import { type CompleteModel, completeModel } from "./child-external.js";
import type { KeptModel } from "./child-kept.js";

/** A model's file, and what is known of it without decoding it. */
export interface Decoded {
  noted: KeptModel;
  /** External data included. */
  complete: () => OnnxModel;
  bytes: Uint8Array;
  /** Of the external data, and where that lies; see `completeModel`. */
  sha256?: string | undefined;
  externalDirectory?: string | undefined;
  isDecoded: boolean;
}

/** Decodes a model, which takes longer than some of its runs, at once only if nothing was noted of it. */
export function decodeWhenNeeded(
  file: Uint8Array,
  source: { path: string; bytesMax: number },
  keptModel: KeptModel | undefined,
): Decoded {
  const decode = (): CompleteModel => completeModel(parseModel(file), source);
  if (keptModel !== undefined) {
    let complete: OnnxModel | undefined;
    return {
      noted: keptModel,
      complete: () => (complete ??= decode().model),
      bytes: file,
      isDecoded: false,
    };
  }
  const { model, ...external } = decode();
  const inputs = model.inputs.map(({ shape, ...input }) => ({
    ...input,
    shape: shape === null ? null : [...shape],
  }));
  return {
    noted: { inputs, layers: model.layers.length },
    complete: () => model,
    bytes: model.bytes,
    ...external,
    isDecoded: true,
  };
}
