import type { GraphProto, NodeProto } from "./proto/onnx_pb.js";
import { subGraphsOf } from "./scope.js";
import { isOtherThanTensor } from "./value-info.js";

/** Operators whose results are sequences, maps or optionals. */
const PRODUCERS: ReadonlySet<string> = new Set([
  "Optional",
  "SequenceConstruct",
  "SequenceEmpty",
  "SequenceErase",
  "SequenceInsert",
  "SequenceMap",
  "SplitToSequence",
  "ZipMap",
]);

/** Operators whose first input is a sequence, map or optional. */
const CONSUMERS: ReadonlySet<string> = new Set([
  "CastMap",
  "ConcatFromSequence",
  "DictVectorizer",
  "SequenceAt",
  "SequenceErase",
  "SequenceInsert",
  "SequenceLength",
]);

/**
 * Values of the main graph that are known not to be tensors: by declaration, by the operator that
 * makes or reads them, or because Identity, If or Loop passes one on. They cannot cross a cut.
 */
export function findNonTensors(graph: GraphProto, sorted: readonly NodeProto[]): Set<string> {
  const found = new Set<string>();
  for (const value of [...graph.input, ...graph.output, ...graph.valueInfo]) {
    if (isOtherThanTensor(value.type)) found.add(value.name ?? "");
  }
  for (const node of sorted) {
    const opType = node.opType ?? "";
    const first = node.input[0] ?? "";
    if (CONSUMERS.has(opType)) found.add(first);
    if (PRODUCERS.has(opType) || (opType === "Identity" && found.has(first))) {
      for (const name of node.output) found.add(name);
    }
    for (const body of subGraphsOf(node)) markBodyOutputs(node, body, found);
  }
  return found;
}

/** A Loop's body has its condition as a first output more than the node. */
function markBodyOutputs(node: NodeProto, body: GraphProto, found: Set<string>): void {
  const offset = node.opType === "Loop" ? 1 : 0;
  for (const [position, name] of node.output.entries()) {
    const result = body.output[position + offset];
    if (name !== "" && isOtherThanTensor(result?.type)) found.add(name);
  }
}
