import { create, toBinary } from "@bufbuild/protobuf";
import { AppError } from "../core/index.js";
import type { TensorInfo } from "../protocol/index.js";
import { isConstant, lastUsesOf } from "./cuts.js";
import { quoted } from "./layers.js";
import type { OnnxModel } from "./parse.js";
import {
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./proto/onnx_pb.js";
import { sparseName } from "./scope.js";
import {
  isOtherThanTensor,
  readValueInfo,
  type TensorValue,
  writeTensor,
  writeValueInfo,
} from "./value-info.js";

/** Layers from first to last, both included. */
export interface LayerRange {
  firstLayer: number;
  lastLayer: number;
}

export interface SubModel {
  bytes: Uint8Array;
  /** What must be fed: inputs of the model first, then what earlier layers compute. */
  inputs: readonly string[];
  /** What later layers need, then outputs of the model. */
  outputs: readonly string[];
}

const IR_VERSION_OF_PLAIN_INITIALIZERS = 4n;

/**
 * The layers of `range` as a model of their own; the same arguments give the same bytes. Layers
 * that no output depends on are left out, constants are copied to where they are needed, and the
 * model's constant outputs and inputs that are outputs belong to the sub-model of the last layer.
 * A shape constant is computed by its own layers where all they need is in the range; elsewhere its
 * value comes along as an initializer, and the sub-model takes only the shapes of `types`.
 * @param types dtype and shape of tensors that cross into or out of the range; where the file
 * itself declares a type that does not contradict them, that one is kept
 * @throws AppError MODEL_UNSUPPORTED when a tensor that crosses in has no known type, or when
 * nothing in the range is needed | MODEL_TOO_LARGE beyond 2 GiB
 */
export function extractSubModel(
  model: OnnxModel,
  range: LayerRange,
  types: ReadonlyMap<string, TensorInfo>,
): SubModel {
  const borders = bordersOf(model, range);
  if (borders.outputs.length === 0) {
    throw new AppError(
      "MODEL_UNSUPPORTED",
      `layers ${range.firstLayer} to ${range.lastLayer} compute nothing that the rest of the model needs`,
    );
  }
  const declared = declaredTypes(model.graph);
  const hasValuesInside = borders.embedded.size > 0;
  const typeOf = (name: string): ValueInfoProto => {
    const hasFixedShape = model.fixedShapes.has(name) || isConstant(model, name);
    const measured = types.get(name);
    return describe(declared.get(name), { name, measured, hasFixedShape, hasValuesInside });
  };
  const untyped = borders.inputs.find((name) => typeOf(name).type === undefined);
  if (untyped !== undefined) {
    throw new AppError("MODEL_UNSUPPORTED", `the type of tensor ${quoted(untyped)} is not known`);
  }
  const graph = subGraph(model, borders, typeOf);
  const bytes = toBinary(ModelProtoSchema, create(ModelProtoSchema, { ...model.proto, graph }));
  return { bytes, inputs: borders.inputs, outputs: borders.outputs };
}

/** Names of the tensors that `range` as a model of its own takes from before it, and hands on. */
export function tensorsAcross(
  model: OnnxModel,
  range: LayerRange,
): { inputs: string[]; outputs: string[] } {
  const { inputs, outputs } = bordersOf(model, range);
  return { inputs, outputs };
}

interface Borders {
  inputs: string[];
  outputs: string[];
  /** Layers to copy, those of constants and shape constants included. */
  layers: ReadonlySet<number>;
  /** Shape constants that the range cannot compute, so that their values come along. */
  embedded: ReadonlyMap<string, TensorValue>;
}

function bordersOf(model: OnnxModel, range: LayerRange): Borders {
  const lastUses = lastUsesOf(model);
  const modelOutputs = new Set(model.outputs.map((output) => output.name));
  const isLast = range.lastLayer === model.layers.length - 1;
  const kept = new Set<number>();
  const produced = new Set<string>();
  const read = new Set<string>();
  const carried: string[] = [];
  for (const layer of model.layers.slice(range.firstLayer, range.lastLayer + 1)) {
    if (!model.contributing.has(layer.index)) continue;
    kept.add(layer.index);
    for (const name of layer.inputs) if (!produced.has(name)) read.add(name);
    for (const name of layer.outputs) {
      produced.add(name);
      const isNeededLater = (lastUses.get(name) ?? -1) > range.lastLayer;
      if (isNeededLater && !modelOutputs.has(name)) carried.push(name);
    }
  }
  const isOwnResult = (name: string): boolean => {
    const isPassedOn = isConstant(model, name) || model.inputs.some((input) => input.name === name);
    return isPassedOn ? isLast : produced.has(name);
  };
  const results = [...modelOutputs].filter(isOwnResult);
  for (const name of results) if (!produced.has(name)) read.add(name);
  const inputs = orderedInputs(model, read);
  const producers = producersOfConstants(model, range, new Set([...inputs, ...produced]));
  addProducers(model, { read, kept, producers });
  const embedded = new Map<string, TensorValue>();
  for (const name of read) {
    const known = model.shapeConstants.get(name);
    if (known === undefined || producers.has(name) || produced.has(name)) continue;
    embedded.set(name, known);
  }
  return { inputs, outputs: [...carried, ...results], layers: kept, embedded };
}

/**
 * The layer of each constant, and in the range that of each shape constant that can be computed
 * from what is at hand, with the steps on the way to it.
 */
function producersOfConstants(
  model: OnnxModel,
  range: LayerRange,
  atHand: Set<string>,
): ReadonlyMap<string, number> {
  const producers = new Map<string, number>();
  for (const layer of model.layers) {
    const isInRange = layer.index >= range.firstLayer && layer.index <= range.lastLayer;
    const isComputable =
      isInRange &&
      !model.contributing.has(layer.index) &&
      layer.inputs.every((name) => atHand.has(name) || model.constants.has(name));
    for (const name of layer.outputs) {
      if (isComputable) atHand.add(name);
      if (isComputable || model.constants.has(name)) producers.set(name, layer.index);
    }
  }
  return producers;
}

/** Adds the layers that compute the constants in `read`, and to `read` what those layers read. */
function addProducers(
  model: OnnxModel,
  found: { read: Set<string>; kept: Set<number>; producers: ReadonlyMap<string, number> },
): void {
  const { read, kept, producers } = found;
  // A set that grows while it is walked yields what is added, too.
  for (const name of read) {
    const layer = model.layers[producers.get(name) ?? -1];
    if (layer === undefined || kept.has(layer.index)) continue;
    kept.add(layer.index);
    for (const input of layer.inputs) read.add(input);
  }
}

function orderedInputs(model: OnnxModel, read: ReadonlySet<string>): string[] {
  const own = model.inputs.map((input) => input.name).filter((name) => read.has(name));
  const isOwn = new Set(own);
  const crossing = [...read].filter((name) => !isConstant(model, name) && !isOwn.has(name));
  return [...own, ...crossing];
}

function declaredTypes(graph: GraphProto): Map<string, ValueInfoProto> {
  const values = [...graph.valueInfo, ...graph.output, ...graph.input];
  return new Map(values.map((value) => [value.name ?? "", value]));
}

/**
 * The declared type unless it is missing, vague about its rank or at odds with what was measured.
 * In a sub-model with the values of shape constants inside, a fixed shape must say every length, so
 * that other shapes are refused: the values would be wrong for them. A shape that may vary with the
 * values of the inputs is left open; the one that was measured is just one of many.
 */
function describe(
  declared: ValueInfoProto | undefined,
  tensor: {
    name: string;
    measured: TensorInfo | undefined;
    hasFixedShape: boolean;
    hasValuesInside: boolean;
  },
): ValueInfoProto {
  const { name, measured, hasFixedShape } = tensor;
  if (measured === undefined) return declared ?? create(ValueInfoProtoSchema, { name });
  const written = writeValueInfo(hasFixedShape ? measured : { ...measured, shape: null });
  if (declared === undefined || isOtherThanTensor(declared.type)) return written;
  const { dtype, shape } = readValueInfo(declared);
  const mayBeOpen = !(hasFixedShape && tensor.hasValuesInside);
  const suits = (length: number | string | null, axis: number): boolean =>
    length === measured.shape[axis] || (mayBeOpen && typeof length !== "number");
  const agrees =
    dtype === measured.dtype && shape?.length === measured.shape.length && shape.every(suits);
  return agrees ? declared : written;
}

function subGraph(
  model: OnnxModel,
  borders: Borders,
  typeOf: (name: string) => ValueInfoProto,
): GraphProto {
  const { graph } = model;
  const layers = model.layers.filter((layer) => borders.layers.has(layer.index));
  const crossing = new Set([...borders.inputs, ...borders.outputs]);
  const present = new Set(crossing);
  for (const layer of layers) {
    for (const name of [...layer.inputs, ...layer.outputs]) present.add(name);
  }
  const isPresent = (named: { name?: string | undefined }): boolean =>
    present.has(named.name ?? "");
  const embedded = [...borders.embedded].map(([name, known]) => writeTensor(name, known));
  const initializer = [...graph.initializer.filter(isPresent), ...embedded];
  const sparseInitializer = graph.sparseInitializer.filter((sparse) =>
    present.has(sparseName(sparse)),
  );
  const initialized = new Set([
    ...initializer.map((tensor) => tensor.name ?? ""),
    ...sparseInitializer.map(sparseName),
  ]);
  // Before IR version 4 an initializer must be listed as an input; later that marks a default.
  const defaults = graph.input.filter((input) => initialized.has(input.name ?? ""));
  if ((model.proto.irVersion ?? 0n) < IR_VERSION_OF_PLAIN_INITIALIZERS) {
    for (const [name, known] of borders.embedded) defaults.push(writeValueInfo({ name, ...known }));
  }
  return create(GraphProtoSchema, {
    ...graph,
    node: layers.flatMap((layer) => model.nodes[layer.index] ?? []),
    initializer,
    sparseInitializer,
    input: [...borders.inputs.map(typeOf), ...defaults],
    output: borders.outputs.map(typeOf),
    valueInfo: graph.valueInfo.filter(
      (value) =>
        isPresent(value) && !crossing.has(value.name ?? "") && !initialized.has(value.name ?? ""),
    ),
    quantizationAnnotation: graph.quantizationAnnotation.filter((annotation) =>
      present.has(annotation.tensorName ?? ""),
    ),
  });
}
