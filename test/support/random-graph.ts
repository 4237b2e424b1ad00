import fc from "fast-check";
import type { NodeProto, ValueInfoProto } from "../../src/model/proto/onnx_pb.js";
import { constantFloats, floats, type ModelParts, node, value } from "./onnx-builder.js";

const SHAPE = [2, 3] as const;

/**
 * Random small graphs of element-wise float operators over inputs, an initializer, constants and
 * dead ends, with several outputs, in an order that need not be topological.
 */
export const randomGraph: fc.Arbitrary<ModelParts> = fc
  .record({
    inputs: fc.integer({ min: 1, max: 3 }),
    nodes: fc.array(
      fc.record({
        opType: fc.constantFrom("Add", "Sub", "Max", "Relu", "Neg", "Constant"),
        left: fc.nat(),
        right: fc.nat(),
        near: fc.boolean(),
      }),
      { minLength: 1, maxLength: 14 },
    ),
    outputs: fc.uniqueArray(fc.nat({ max: 13 }), { minLength: 1, maxLength: 3 }),
    /** Empty: the nodes stay in topological order. */
    order: fc.array(fc.nat(), { maxLength: 14 }),
  })
  .map((plan): ModelParts => {
    const inputs = Array.from({ length: plan.inputs }, (_, index) => value(`x${index}`, SHAPE));
    const known = ["w", ...inputs.map((input) => input.name ?? "")];
    const nodes: NodeProto[] = [];
    for (const [index, step] of plan.nodes.entries()) {
      const output = `t${index}`;
      // Mostly the newest tensors, so that graphs are chains with branches rather than bushes.
      const window = step.near ? known.slice(-2) : known;
      const left = window[step.left % window.length] ?? "w";
      const right = known[step.right % known.length] ?? "w";
      nodes.push(makeNode(step.opType, { left, right, output, index }));
      known.push(output);
    }
    const names = new Set(plan.outputs.map((output) => `t${output % plan.nodes.length}`));
    return {
      nodes: shuffle(nodes, plan.order),
      inputs,
      outputs: [...names].map((name): ValueInfoProto => value(name, SHAPE)),
      initializers: [floats("w", [1, -2, 3, -4, 5, -6], SHAPE)],
    };
  });

function makeNode(
  opType: string,
  place: { left: string; right: string; output: string; index: number },
): NodeProto {
  const { left, right, output } = place;
  if (opType === "Constant") return constantFloats(output, [place.index, 1, 2]);
  const isUnary = opType === "Relu" || opType === "Neg";
  return node(opType, isUnary ? [left] : [left, right], [output]);
}

/** Takes the item at each number's place in turn, then the rest in order. */
function shuffle<T>(items: readonly T[], places: readonly number[]): T[] {
  const rest = [...items];
  const taken = places.flatMap((place) => rest.splice(place % Math.max(rest.length, 1), 1));
  return [...taken, ...rest];
}
