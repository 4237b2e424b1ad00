import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  buildModel,
  floats,
  graphAttribute,
  integers,
  integersAttribute,
  type ModelParts,
  node,
  onnxGraph,
  value,
} from "./onnx-builder.js";

/** A directory of ONNX files that vanishes with `remove`. */
export interface ModelDirectory {
  write(name: string, parts: ModelParts): string;
  writeBytes(name: string, bytes: Uint8Array | string): string;
  path(name: string): string;
  remove(): void;
}

export function modelDirectory(): ModelDirectory {
  const directory = mkdtempSync(join(tmpdir(), "scissiond-models-"));
  const writeBytes = (name: string, bytes: Uint8Array | string): string => {
    const path = join(directory, name);
    writeFileSync(path, bytes);
    return path;
  };
  return {
    write: (name, parts) => writeBytes(name, buildModel(parts)),
    writeBytes,
    path: (name) => join(directory, name),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** x → Sin → a → MatMul → b → Cos → y: four by four, two cut points, nothing to fuse. */
export function chain(names: { a?: string; b?: string } = {}): ModelParts {
  const { a = "a", b = "b" } = names;
  const weights = Array.from({ length: 16 }, (_, index) => (index % 5) / 7 - 0.2);
  return {
    inputs: [value("x", [1, 4])],
    outputs: [value("y", [1, 4])],
    initializers: [floats("w", weights, [4, 4])],
    nodes: [node("Sin", ["x"], [a]), node("MatMul", [a, "w"], [b]), node("Cos", [b], ["y"])],
  };
}

/** x → MatMul → a → Sin → b → MatMul → c → Cos → y: some milliseconds, three cut points. */
export function heavyChain(): ModelParts {
  const side = 512;
  const weights = Array.from({ length: side * side }, (_, index) => ((index % 7) - 3) / side);
  return {
    inputs: [value("x", [256, side])],
    outputs: [value("y", [256, side])],
    initializers: [floats("w", weights, [side, side])],
    nodes: [
      node("MatMul", ["x", "w"], ["a"]),
      node("Sin", ["a"], ["b"]),
      node("MatMul", ["b", "w"], ["c"]),
      node("Cos", ["c"], ["y"]),
    ],
  };
}

/** As `chain`, with an axis that has no length; 1 suits it. */
export function batched(): ModelParts {
  return { ...chain(), inputs: [value("x", ["batch", 4])], outputs: [value("y", ["batch", 4])] };
}

/** x → Sin → a → flat b → Cos → c → y, which takes the shape that a had; three cut points. */
export function reshaped(): ModelParts {
  return {
    inputs: [value("x", ["n", 4])],
    outputs: [value("y", ["n", 4])],
    initializers: [integers("flat", [-1])],
    nodes: [
      node("Sin", ["x"], ["a"]),
      node("Shape", ["a"], ["s"]),
      node("Reshape", ["a", "flat"], ["b"]),
      node("Cos", ["b"], ["c"]),
      node("Reshape", ["c", "s"], ["y"]),
    ],
  };
}

/** x → Sin → a → y, to which it adds zeros of the shape of x. */
export function zeroAdded(): ModelParts {
  return {
    inputs: [value("x", ["n", 4])],
    outputs: [value("y", ["n", 4])],
    nodes: [
      node("Shape", ["x"], ["s"]),
      node("ConstantOfShape", ["s"], ["zeros"]),
      node("Sin", ["x"], ["a"]),
      node("Add", ["a", "zeros"], ["y"]),
    ],
  };
}

/** Runs only when the axis "features" has length 4. */
export function unbound(): ModelParts {
  return { ...batched(), inputs: [value("x", [1, "features"])] };
}

/** A run that ends after `iterations`, a good million of which take a second. */
export function loop(iterations: number): ModelParts {
  const body = onnxGraph({
    inputs: [value("i", [], "int64"), value("go", [], "bool"), value("v", [1])],
    outputs: [value("go_on", [], "bool"), value("v_next", [1])],
    nodes: [node("Identity", ["go"], ["go_on"]), node("Add", ["v", "one"], ["v_next"])],
  });
  return {
    inputs: [value("x", [1])],
    outputs: [value("y", [1])],
    initializers: [integers("n", [iterations], []), floats("one", [1])],
    nodes: [node("Loop", ["n", "", "x"], ["y"], { attributes: [graphAttribute("body", body)] })],
  };
}

/** Fills `gibibytes` of memory when it runs. */
export function glutton(gibibytes: number): ModelParts {
  return {
    inputs: [value("x", [1])],
    outputs: [value("y", [1])],
    initializers: [integers("shape", [gibibytes * 2 ** 28])],
    nodes: [
      node("ConstantOfShape", ["shape"], ["zeros"]),
      node("Add", ["zeros", "x"], ["sum"]),
      node("ReduceMax", ["sum"], ["y"], { attributes: [integersAttribute("axes", [0])] }),
    ],
  };
}

/** Computes something else each time. */
export function dice(): ModelParts {
  return {
    inputs: [value("x", [4])],
    outputs: [value("y", [4])],
    nodes: [
      node("RandomNormal", [], ["r"], { attributes: [integersAttribute("shape", [4])] }),
      node("Add", ["x", "r"], ["y"]),
    ],
  };
}
