import { AppError, printable, seededRandom } from "../core/index.js";
import type { ValueInfo } from "../model/index.js";
import type { InputBinding } from "../protocol/index.js";
import { readInput } from "./child-input-files.js";
import type { InputFile } from "./messages.js";
import { synthesise, type Tensors } from "./child-tensors.js";

export interface BoundInputs {
  tensors: Tensors;
  /** Axes of unknown length that no binding fixed; they were given length 1. */
  assumed: readonly AssumedAxis[];
}

export interface AssumedAxis {
  input: string;
  /** The shape as the model declares it, for the message. */
  declared: NonNullable<ValueInfo["shape"]>;
  axis: number;
}

/**
 * Makes every input of the model from its declaration, the bindings and the user's files. Axes of unknown length
 * without a binding get length 1, which suits a batch; whether the model agrees shows when it runs.
 * @throws AppError MODEL_INPUT_INVALID | MODEL_INPUT_UNBOUND | MODEL_UNSUPPORTED
 */
export function bindInputs(
  inputs: readonly ValueInfo[],
  given: {
    bindings: readonly InputBinding[];
    files?: readonly InputFile[] | undefined;
    seed: number;
  },
): BoundInputs {
  const { bindings, files = [], seed } = given;
  refuseUnknownNames(inputs, [...bindings, ...files]);
  const random = seededRandom(seed);
  const tensors: Tensors = new Map();
  const assumed: AssumedAxis[] = [];
  for (const input of inputs) {
    const name = printable(input.name);
    if (input.dtype === null || input.name === "__proto__") {
      throw new AppError(
        "MODEL_UNSUPPORTED",
        `input ${name} is no tensor that can be fed here (a sequence, map, optional value or unknown type)`,
      );
    }
    const binding = bindings.find((candidate) => candidate.name === input.name);
    const file = files.find((candidate) => candidate.name === input.name);
    if (file !== undefined) {
      const { dtype } = input;
      tensors.set(input.name, readInput(file, { ...input, dtype }, binding?.shape));
      continue;
    }
    const shape = binding?.shape ?? shapeWithOnes(input, assumed);
    const spec = {
      name: input.name,
      dtype: input.dtype,
      shape,
      value: binding?.value,
      range: binding?.range,
    };
    tensors.set(input.name, synthesise(spec, random));
  }
  return { tensors, assumed };
}

/** What to throw for a model that does not run: the blame is on the lengths assumed, if any were. */
export function unboundError(assumed: readonly AssumedAxis[], cause: unknown): unknown {
  const [first] = assumed;
  if (first === undefined) return cause;
  const others = assumed.length - 1;
  const axis = first.declared[first.axis];
  const called = typeof axis === "string" ? ` ("${printable(axis)}")` : "";
  const example = first.declared.map((length) => (typeof length === "number" ? length : 1));
  const more = others > 0 ? ` (and ${others} more ${others === 1 ? "axis" : "axes"})` : "";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError(
    "MODEL_INPUT_UNBOUND",
    `axis ${first.axis}${called} of input ${printable(first.input)}${more} has no fixed length, and the model does not run with 1; bind it, as in --input '${printable(first.input)}=${example.join("x")}' with the true lengths. ${reason}`,
    { cause },
  );
}

function shapeWithOnes(input: ValueInfo, assumed: AssumedAxis[]): number[] {
  const declared = input.shape;
  if (declared === null) {
    throw new AppError(
      "MODEL_INPUT_UNBOUND",
      `input ${printable(input.name)} declares no shape; bind it, as in --input '${printable(input.name)}=1x3x224x224'`,
    );
  }
  return declared.map((length, axis) => {
    if (typeof length === "number" && length >= 0) return length;
    assumed.push({ input: input.name, declared, axis });
    return 1;
  });
}

function refuseUnknownNames(
  inputs: readonly ValueInfo[],
  bindings: readonly { name: string }[],
): void {
  const NAMES_SHOWN_MAX = 10;
  const known = new Set(inputs.map((input) => input.name));
  const unknown = bindings.find((binding) => !known.has(binding.name));
  if (unknown === undefined) return;
  const shown = [...known].slice(0, NAMES_SHOWN_MAX).map((name) => printable(name));
  throw new AppError(
    "MODEL_INPUT_INVALID",
    `the model has no input ${printable(unknown.name)}; it has ${shown.join(", ") || "none"}${known.size > shown.length ? ", …" : ""}`,
  );
}
