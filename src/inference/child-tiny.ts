import { create, toBinary } from "@bufbuild/protobuf";
import { Tensor } from "onnxruntime-node";
import { ModelProtoSchema } from "../model/index.js";
import type { Tensors } from "./child-tensors.js";

const FLOAT = 1;
const OPSET_VERSION = 13n;
const IR_VERSION = 7n;

/** A model that hands one number through: what a call costs, and whether a provider works at all. */
export function tinyModel(): { bytes: Uint8Array; feeds: Tensors; outputs: string[] } {
  const dim = [{ value: { case: "dimValue" as const, value: 1n } }];
  const number = {
    type: {
      value: { case: "tensorType" as const, value: { elemType: FLOAT, shape: { dim } } },
    },
  };
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    opsetImport: [{ domain: "", version: OPSET_VERSION }],
    graph: {
      name: "tiny",
      node: [{ opType: "Neg", input: ["x"], output: ["y"] }],
      input: [{ name: "x", ...number }],
      output: [{ name: "y", ...number }],
    },
  });
  return {
    bytes: toBinary(ModelProtoSchema, model),
    feeds: new Map([["x", new Tensor("float32", Float32Array.of(1), [1])]]),
    outputs: ["y"],
  };
}
