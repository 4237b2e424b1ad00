import { type Constant, elementsOf, type Graph, type GraphNode, type Parameter } from "./graph.js";
import type { Noise } from "./noise.js";

/** Up to this length a parameter is stored as it is: biases and batch normalization. */
const STORED_ELEMENTS_MAX = 4_096;
const BLOCK = "light/noise";
const AXIS = "light/axis";

/** How large parameters become a few nodes that the runtime folds into constants at load. */
export interface Expansion {
  readonly constants: readonly Constant[];
  expands(parameter: Parameter): boolean;
  /** What must stand before a node that reads expanded parameters. */
  nodesBefore(node: GraphNode): readonly GraphNode[];
}

/**
 * Every large parameter as Reshape(Slice(Tile(noise × deviation))): the same rule as the full
 * weights, with a shorter block of noise. Only kernels are large, and their mean is zero.
 */
export function expandParameters(graph: Graph, noise: Noise): Expansion {
  const constants: Constant[] = [
    floats(BLOCK, [noise.block.length], Array.from(noise.block)),
    integers(AXIS, [0]),
  ];
  const nodesOf = new Map<string, readonly GraphNode[]>();
  for (const [index, parameter] of graph.parameters.entries()) {
    if (!isLarge(parameter)) continue;
    const start = noise.startOf(index);
    const end = start + elementsOf(parameter.shape);
    const operand = (suffix: string) => `${parameter.name}/${suffix}`;
    const repeats = Math.ceil(end / noise.block.length);
    constants.push(
      integers(operand("repeats"), [repeats]),
      integers(operand("start"), [start]),
      integers(operand("end"), [end]),
      floats(operand("deviation"), [], [parameter.deviation]),
      integers(operand("shape"), parameter.shape),
    );
    const steps: readonly Omit<GraphNode, "attributes">[] = [
      {
        opType: "Mul",
        name: operand("scaled"),
        inputs: [BLOCK, operand("deviation")],
        outputShape: [noise.block.length],
      },
      {
        opType: "Tile",
        name: operand("tiled"),
        inputs: [operand("scaled"), operand("repeats")],
        outputShape: [repeats * noise.block.length],
      },
      {
        opType: "Slice",
        name: operand("sliced"),
        inputs: [operand("tiled"), operand("start"), operand("end"), AXIS],
        outputShape: [end - start],
      },
      {
        opType: "Reshape",
        name: parameter.name,
        inputs: [operand("sliced"), operand("shape")],
        outputShape: parameter.shape,
      },
    ];
    nodesOf.set(
      parameter.name,
      steps.map((step) => ({ ...step, attributes: [] })),
    );
  }
  return {
    constants,
    expands: isLarge,
    nodesBefore: ({ inputs }) => inputs.flatMap((input) => nodesOf.get(input) ?? []),
  };
}

function isLarge({ shape }: Parameter): boolean {
  return elementsOf(shape) > STORED_ELEMENTS_MAX;
}

function integers(name: string, values: readonly number[]): Constant {
  return { name, type: "int64", shape: [values.length], values };
}

function floats(name: string, shape: readonly number[], values: readonly number[]): Constant {
  return { name, type: "float32", shape, values };
}
