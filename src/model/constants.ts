import type { Layer } from "./layers.js";
import type { FunctionProto, NodeProto } from "./proto/onnx_pb.js";
import { subGraphsOf } from "./scope.js";

const STANDARD_DOMAINS: ReadonlySet<string> = new Set([
  "",
  "ai.onnx",
  "ai.onnx.ml",
  "com.microsoft",
]);

const RANDOM_OPERATORS: ReadonlySet<string> = new Set([
  "Bernoulli",
  "BiasDropout",
  "BitmaskDropout",
  "BitmaskBiasDropout",
  "Multinomial",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
  "Sampling",
]);

/** Functions that call each other deeper than this are taken as not repeatable. */
const CALL_DEPTH_MAX = 64;

/** Dropout's third input switches its randomness on. */
const DROPOUT_TRAINING_INPUT = 2;

/**
 * Tensors whose value no input can change: initializers, and what is computed from them and from
 * `Constant` nodes by operators that give the same result every time. They need not cross a cut:
 * whoever needs them computes them again.
 */
export function findConstants(
  graph: { layers: readonly Layer[]; nodes: readonly NodeProto[]; initializers: Iterable<string> },
  functions: readonly FunctionProto[],
): Set<string> {
  const constants = new Set(graph.initializers);
  const isRepeatable = repeatability(functions);
  for (const layer of graph.layers) {
    const node = graph.nodes[layer.index];
    if (node === undefined || !layer.inputs.every((name) => constants.has(name))) continue;
    if (isRepeatable(node)) for (const name of layer.outputs) constants.add(name);
  }
  return constants;
}

/** Whether a node gives the same result each time; operators we do not know are taken not to. */
export function repeatability(functions: readonly FunctionProto[]): (node: NodeProto) => boolean {
  const bodies = new Map(functions.map((body) => [functionKey(body.domain, body.name), body.node]));
  const verdicts = new Map<string, boolean>();
  let callDepth = 0;

  const isRepeatable = (node: NodeProto): boolean => {
    const key = functionKey(node.domain, node.opType);
    const body = bodies.get(key);
    const own = body === undefined ? isKnownRepeatable(node) : isRepeatableFunction(key, body);
    return own && subGraphsOf(node).every((graph) => graph.node.every(isRepeatable));
  };
  const isRepeatableFunction = (key: string, body: readonly NodeProto[]): boolean => {
    const known = verdicts.get(key);
    if (known !== undefined) return known;
    if (callDepth >= CALL_DEPTH_MAX) return false;
    verdicts.set(key, false); // what a function that calls itself finds
    callDepth++;
    const verdict = body.every(isRepeatable);
    callDepth--;
    verdicts.set(key, verdict);
    return verdict;
  };
  return isRepeatable;
}

function isKnownRepeatable(node: NodeProto): boolean {
  const opType = node.opType ?? "";
  if (!STANDARD_DOMAINS.has(node.domain ?? "") || RANDOM_OPERATORS.has(opType)) return false;
  return opType !== "Dropout" || (node.input[DROPOUT_TRAINING_INPUT] ?? "") === "";
}

/** Domain and name in one text that no other pair gives. */
export function functionKey(domain: string | undefined, name: string | undefined): string {
  return JSON.stringify([domain === "ai.onnx" ? "" : (domain ?? ""), name ?? ""]);
}
