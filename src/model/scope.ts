import type { GraphProto, NodeProto, SparseTensorProto, TensorProto } from "./proto/onnx_pb.js";

/** The graphs that a node holds as attributes: branches of If, bodies of Loop and Scan. */
export function subGraphsOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap((attribute) =>
    attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs],
  );
}

/** Every tensor that a node reads: its inputs, then what its sub-graphs take from outside. */
export function tensorsReadBy(node: NodeProto): Set<string> {
  const read = new Set(node.input.filter((name) => name !== ""));
  for (const graph of subGraphsOf(node)) {
    for (const name of capturesOf(graph)) read.add(name);
  }
  return read;
}

/** Names that a sub-graph uses at any depth and does not define: they come from the scope around it. */
export function capturesOf(graph: GraphProto): Set<string> {
  const defined = new Set(graph.node.flatMap((node) => node.output));
  for (const input of graph.input) defined.add(input.name ?? "");
  for (const name of initializerNames(graph)) defined.add(name);
  const captured = new Set<string>();
  for (const node of graph.node) {
    for (const name of tensorsReadBy(node)) if (!defined.has(name)) captured.add(name);
  }
  for (const output of graph.output) {
    const name = output.name ?? "";
    if (name !== "" && !defined.has(name)) captured.add(name);
  }
  return captured;
}

/** Names of a graph's dense and sparse initializers, repetitions included. */
export function initializerNames(graph: GraphProto): string[] {
  return [
    ...graph.initializer.map((tensor) => tensor.name ?? ""),
    ...graph.sparseInitializer.map(sparseName),
  ];
}

/** A sparse initializer goes by the name of its values. */
export function sparseName(tensor: SparseTensorProto): string {
  return tensor.values?.name ?? "";
}

/** Every tensor with data in a graph, those in attributes and sub-graphs included. */
export function* tensorsIn(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const sparse of graph.sparseInitializer) yield* sparseParts(sparse);
  for (const node of graph.node) yield* tensorsInNode(node);
}

/** Every tensor with data in a node's attributes. */
export function* tensorsInNode(node: NodeProto): Generator<TensorProto> {
  for (const attribute of node.attribute) {
    if (attribute.t !== undefined) yield attribute.t;
    yield* attribute.tensors;
    if (attribute.sparseTensor !== undefined) yield* sparseParts(attribute.sparseTensor);
    for (const sparse of attribute.sparseTensors) yield* sparseParts(sparse);
  }
  for (const graph of subGraphsOf(node)) yield* tensorsIn(graph);
}

function* sparseParts(sparse: SparseTensorProto): Generator<TensorProto> {
  if (sparse.values !== undefined) yield sparse.values;
  if (sparse.indices !== undefined) yield sparse.indices;
}
