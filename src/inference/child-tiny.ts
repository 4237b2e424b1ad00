import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Tensor } from "onnxruntime-node";
import {
  type GraphProtoSchema,
  ModelProtoSchema,
  type ValueInfoProtoSchema,
} from "../model/index.js";
import type { Tensors } from "./child-tensors.js";

const FLOAT = 1;
const OPSET_VERSION = 13n;
const IR_VERSION = 7n;

interface SmallModel {
  bytes: Uint8Array;
  feeds: Tensors;
  outputs: string[];
}

/** A model that hands one number through: what a call costs, and whether a provider works at all. */
export function tinyModel(): SmallModel {
  const graph = {
    node: [{ opType: "Neg", input: ["x"], output: ["y"] }],
    input: [valueOf("x", [1])],
    output: [valueOf("y", [1])],
  };
  return smallModel(graph, [1]);
}

const CHANNELS = 128;
const KERNEL_SIZE = 3;
const IMAGE_SIZE = 14;
/** Without padding. */
const OUTPUT_SIZE = IMAGE_SIZE - KERNEL_SIZE + 1;

/** One convolution; weights and data fit into the cache of a core. */
export function convolutionModel(): SmallModel {
  const kernel = [CHANNELS, CHANNELS, KERNEL_SIZE, KERNEL_SIZE];
  const image = [1, CHANNELS, IMAGE_SIZE, IMAGE_SIZE];
  const graph = {
    node: [{ opType: "Conv", input: ["x", "w"], output: ["y"] }],
    initializer: [
      {
        name: "w",
        dims: kernel.map(BigInt),
        dataType: FLOAT,
        rawData: new Uint8Array(numbersFor(kernel).buffer),
      },
    ],
    input: [valueOf("x", image)],
    output: [valueOf("y", [1, CHANNELS, OUTPUT_SIZE, OUTPUT_SIZE])],
  };
  return smallModel(graph, image);
}

/** @param inputShape of "x" */
function smallModel(
  graph: MessageInitShape<typeof GraphProtoSchema>,
  inputShape: readonly number[],
): SmallModel {
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    opsetImport: [{ domain: "", version: OPSET_VERSION }],
    graph: { name: "tiny", ...graph },
  });
  return {
    bytes: toBinary(ModelProtoSchema, model),
    feeds: new Map([["x", new Tensor("float32", numbersFor(inputShape), inputShape)]]),
    outputs: ["y"],
  };
}

function valueOf(
  name: string,
  shape: readonly number[],
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((size) => ({
    value: { case: "dimValue" as const, value: BigInt(size) },
  }));
  return {
    name,
    type: { value: { case: "tensorType", value: { elemType: FLOAT, shape: { dim } } } },
  };
}

/** Between 0 and 1, none so small that a processor would be slow with it. */
function numbersFor(shape: readonly number[]): Float32Array {
  const elements = shape.reduce((product, size) => product * size, 1);
  return Float32Array.from({ length: elements }, (_, index) => 1 / (1 + (index % 97)));
}
