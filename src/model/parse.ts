import { fromBinary } from "@bufbuild/protobuf";
import { AppError, errorMessage } from "../core/index.js";
import { findConstants } from "./constants.js";
import { findContributing } from "./contributing.js";
import { externalLocations } from "./external-location.js";
import { invalid, type Layer, orderLayers, quoted } from "./layers.js";
import { findNonTensors } from "./non-tensors.js";
import { type ModelLimits, modelLimitsSchema } from "./options.js";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
} from "./proto/onnx_pb.js";
import { initializerNames } from "./scope.js";
import { findShapeFacts } from "./shapes.js";
import { recogniseForeignFile } from "./sniff.js";
import { readValueInfo, type TensorValue, type ValueInfo } from "./value-info.js";
import { guardWireFormat } from "./wire.js";

/** A decoded and checked model. Its weights are views on the bytes it was parsed from. */
export interface OnnxModel {
  readonly layers: readonly Layer[];
  /** What must be fed: initializers that are also listed as inputs are not among them. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Files that hold weights, relative to the model's directory; empty once they are inlined. */
  readonly externalFiles: readonly string[];
  /** The file, external data included once it is inlined. */
  readonly bytes: Uint8Array;
  /** The same, decoded; read it only. */
  readonly proto: ModelProto;
  readonly graph: GraphProto;
  /** The node of each layer. */
  readonly nodes: readonly NodeProto[];
  /** Tensors whose value no input can change; they never cross a cut. */
  readonly constants: ReadonlySet<string>;
  /** Tensors that are no constants, but whose values the shapes of the inputs determine. */
  readonly shapeDependents: ReadonlySet<string>;
  /** Tensors whose shapes the shapes of the inputs determine; those of others may vary with values. */
  readonly fixedShapes: ReadonlySet<string>;
  /**
   * Those of `shapeDependents` that are known for the shapes to which the inputs are bound, with their
   * values: they never cross a cut. Empty until `withShapeConstants` tells them.
   */
  readonly shapeConstants: ReadonlyMap<string, TensorValue>;
  /** Values that are no tensors; they cannot cross a cut. */
  readonly nonTensors: ReadonlySet<string>;
  /** Layers that are not constant and that an output depends on. The others may be left out. */
  readonly contributing: ReadonlySet<number>;
}

/**
 * Reads a model, bounded in memory and time whatever the bytes are.
 * @throws AppError MODEL_UNREADABLE (not ONNX, or an invalid graph; names the node) |
 * MODEL_TOO_LARGE (names the limit)
 */
export function parseModel(
  bytes: Uint8Array,
  limits: ModelLimits = modelLimitsSchema.parse({}),
): OnnxModel {
  return analyseModel(decode(bytes, limits), bytes);
}

/** What `parseModel` knows of a decoded model. `bytes`: the same, encoded. */
export function analyseModel(proto: ModelProto, bytes: Uint8Array): OnnxModel {
  const graph = proto.graph;
  if (graph === undefined) throw invalid("it has no graph");
  if (graph.output.length === 0) throw invalid("its graph has no outputs, so it computes nothing");
  const initializers = new Set(initializerNames(graph));
  const inputs = graph.input.map(readValueInfo).filter((input) => !initializers.has(input.name));
  const given = new Set(initializers);
  for (const { name } of inputs) {
    if (given.has(name)) throw invalid(`it has two inputs with the name ${quoted(name)}`);
    given.add(name);
  }
  const { layers, sorted } = orderLayers(graph.node, given);
  const outputs = graph.output.map(readValueInfo);
  refuseMissingOutputs(outputs, layers, given);
  const constants = findConstants({ layers, nodes: sorted, initializers }, proto.functions);
  const shapeFacts = findShapeFacts({ layers, nodes: sorted, inputs, constants }, proto.functions);
  return {
    layers,
    inputs,
    outputs,
    externalFiles: externalLocations(proto),
    bytes,
    proto,
    graph,
    nodes: sorted,
    constants,
    shapeDependents: shapeFacts.values,
    fixedShapes: shapeFacts.shapes,
    shapeConstants: new Map(),
    nonTensors: findNonTensors(graph, sorted),
    contributing: findContributing({ layers, outputs, constants }),
  };
}

function decode(bytes: Uint8Array, limits: ModelLimits): ModelProto {
  if (bytes.byteLength === 0) throw new AppError("MODEL_UNREADABLE", "the file is empty");
  try {
    guardWireFormat(bytes, limits);
  } catch (error) {
    const foreign = recogniseForeignFile(bytes);
    if (foreign === undefined) throw error;
    throw new AppError("MODEL_UNREADABLE", `not an ONNX model: ${foreign}`, { cause: error });
  }
  const proto = fromGuardedBytes(bytes, limits);
  // Other formats can be well-formed protobuf by chance, but then lack what every model has.
  if (proto.irVersion === undefined) {
    const what = recogniseForeignFile(bytes) ?? "it names no IR version";
    throw new AppError("MODEL_UNREADABLE", `not an ONNX model: ${what}`);
  }
  return proto;
}

function fromGuardedBytes(bytes: Uint8Array, limits: ModelLimits): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes, { recursionLimit: limits.messageDepthMax });
  } catch (cause) {
    throw new AppError("MODEL_UNREADABLE", `not an ONNX model: ${errorMessage(cause)}`, { cause });
  }
}

function refuseMissingOutputs(
  outputs: readonly ValueInfo[],
  layers: readonly Layer[],
  given: ReadonlySet<string>,
): void {
  const defined = new Set(layers.flatMap((layer) => layer.outputs));
  const missing = outputs.find(({ name }) => !defined.has(name) && !given.has(name));
  if (missing !== undefined) throw invalid(`nothing computes its output ${quoted(missing.name)}`);
}
