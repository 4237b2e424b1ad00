import fc from "fast-check";
import type { NodeProto } from "../../src/model/proto/onnx_pb.js";
import {
  floats,
  graphAttribute,
  integerAttribute,
  integers,
  type ModelParts,
  node,
  onnxGraph,
  value,
} from "./onnx-builder.js";

const FLOAT32 = 1;
const INT64 = 7;

interface Place {
  left: string;
  right: string;
  output: string;
}

/** From lists of floats a list of floats; how long it is may follow from lengths or from values. */
const STEPS: Readonly<Record<string, (place: Place) => NodeProto[]>> = {
  relu: ({ left, output }) => [node("Relu", [left], [output])],
  join: ({ left, right, output }) => [
    node("Concat", [left, right], [output], { attributes: [integerAttribute("axis", 0)] }),
  ],
  /** As long as there are positive numbers. */
  positive: ({ left, output }) => [
    node("Greater", [left, "none"], [`${output}_is`]),
    node("Compress", [left, `${output}_is`], [output]),
  ],
  /** As long as there are numbers other than zero. */
  spots: ({ left, output }) => [
    node("Relu", [left], [`${output}_r`]),
    node("NonZero", [`${output}_r`], [`${output}_n`]),
    node("Reshape", [`${output}_n`, "flat"], [`${output}_f`]),
    cast(`${output}_f`, output, FLOAT32),
  ],
  /** As many as there are positive numbers, whichever. */
  head: ({ left, output }) => [
    node("Greater", [left, "none"], [`${output}_is`]),
    cast(`${output}_is`, `${output}_ones`, INT64),
    node("ReduceSum", [`${output}_ones`], [`${output}_count`]),
    node("Slice", [left, "start", `${output}_count`], [output]),
  ],
  /** One or two copies, as the sign of the sum decides. */
  fork: ({ left, output }) => [
    node("ReduceSum", [left], [`${output}_s`]),
    node("Greater", [`${output}_s`, "none"], [`${output}_g`]),
    node("If", [`${output}_g`], [output], {
      attributes: [
        graphAttribute("then_branch", branch([left], `${output}_t`)),
        graphAttribute("else_branch", branch([left, left], `${output}_e`)),
      ],
    }),
  ],
  length: ({ left, output }) => [
    node("Shape", [left], [`${output}_s`]),
    cast(`${output}_s`, output, FLOAT32),
  ],
  range: ({ left, output }) => [
    node("Size", [left], [`${output}_s`]),
    node("Range", ["zero", `${output}_s`, "one"], [`${output}_r`]),
    cast(`${output}_r`, output, FLOAT32),
  ],
  zeros: ({ left, output }) => [
    node("Shape", [left], [`${output}_s`]),
    node("ConstantOfShape", [`${output}_s`], [output]),
  ],
  spread: ({ left, output }) => [
    node("Shape", [left], [`${output}_s`]),
    node("Expand", ["none", `${output}_s`], [output]),
  ],
  limit: ({ left, right, output }) => [
    node("Shape", [right], [`${output}_s`]),
    node("Slice", [left, "start", `${output}_s`], [output]),
  ],
  scale: ({ left, right, output }) => [
    node("Shape", [right], [`${output}_s`]),
    cast(`${output}_s`, `${output}_f`, FLOAT32),
    node("Mul", [left, `${output}_f`], [output]),
  ],
  /** Values that are random, of a length that is not. */
  dice: ({ left, output }) => [
    node("RandomUniformLike", [left], [`${output}_d`]),
    node("Shape", [`${output}_d`], [`${output}_s`]),
    cast(`${output}_s`, output, FLOAT32),
  ],
};

/** Random small graphs in which lengths are computed beside the data, and some depend on it. */
export const shapeGraph: fc.Arbitrary<ModelParts> = fc
  .record({
    inputs: fc.integer({ min: 1, max: 2 }),
    steps: fc.array(
      fc.record({
        kind: fc.constantFrom(...Object.keys(STEPS)),
        left: fc.nat(),
        right: fc.nat(),
        near: fc.boolean(),
      }),
      { minLength: 1, maxLength: 10 },
    ),
    outputs: fc.uniqueArray(fc.nat({ max: 9 }), { minLength: 1, maxLength: 2 }),
  })
  .map((plan): ModelParts => {
    const inputs = Array.from({ length: plan.inputs }, (_, index) => `x${index}`);
    const known = [...inputs];
    const nodes: NodeProto[] = [];
    for (const [index, step] of plan.steps.entries()) {
      const output = `t${index}`;
      const window = step.near ? known.slice(-1) : known;
      const left = window[step.left % window.length] ?? "x0";
      const right = known[step.right % known.length] ?? "x0";
      nodes.push(...(STEPS[step.kind]?.({ left, right, output }) ?? []));
      known.push(output);
    }
    const names = new Set([...plan.outputs].map((output) => `t${output % plan.steps.length}`));
    return {
      nodes,
      inputs: inputs.map((name) => value(name, [`length of ${name}`])),
      outputs: [...names].map((name) => value(name, [`length of ${name}`])),
      initializers: [
        floats("none", [0]),
        integers("zero", [0], []),
        integers("one", [1], []),
        integers("start", [0]),
        integers("flat", [-1]),
      ],
    };
  });

function cast(from: string, to: string, elementType: number): NodeProto {
  return node("Cast", [from], [to], { attributes: [integerAttribute("to", elementType)] });
}

function branch(read: readonly string[], output: string): ReturnType<typeof onnxGraph> {
  return onnxGraph({
    name: output,
    nodes: [node("Concat", read, [output], { attributes: [integerAttribute("axis", 0)] })],
    outputs: [value(output, [`length of ${output}`])],
  });
}
