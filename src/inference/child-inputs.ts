import { AppError, printable, seededRandom } from "../core/index.js";
import type { ValueInfo } from "../model/index.js";
import type { InputBinding, TensorInfo } from "../protocol/index.js";
import { readInput } from "./child-input-files.js";
import { type InputFile, MADE_UP_DTYPES } from "./messages.js";
import { synthesise, type Tensors } from "./child-tensors.js";

/**
 * Makes every input of the model from its declaration, the bindings and the user's files. An axis of
 * unknown length must be bound: times for a length that nobody asked for would plan another model.
 * @throws AppError MODEL_INPUT_INVALID | MODEL_INPUT_UNBOUND | MODEL_UNSUPPORTED
 */
export function bindInputs(
  inputs: readonly ValueInfo[],
  given: {
    bindings: readonly InputBinding[];
    files?: readonly InputFile[] | undefined;
    seed: number;
  },
): Tensors {
  const { bindings, files = [], seed } = given;
  refuseUnknownNames(inputs, [...bindings, ...files]);
  const random = seededRandom(seed);
  const tensors: Tensors = new Map();
  refuseUnbound(inputs, bindings, files);
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
    const shape = binding?.shape ?? declaredLengths(input);
    const spec = {
      name: input.name,
      dtype: input.dtype,
      shape,
      value: binding?.value,
      range: binding?.range,
    };
    tensors.set(input.name, synthesise(spec, random));
  }
  return tensors;
}

/**
 * What layers in the middle of a model are fed to time them on their own: the model's own inputs,
 * and floats in place of what earlier layers would compute.
 * @throws AppError MODEL_INPUT_INVALID for what is no float: made-up indices may lie outside
 */
export function madeUpInputs(
  names: readonly string[],
  known: { feeds: Tensors; types: ReadonlyMap<string, TensorInfo>; seed: number },
): Tensors {
  const random = seededRandom(known.seed);
  return new Map(
    names.map((name) => {
      const given = known.feeds.get(name);
      if (given !== undefined) return [name, given];
      const type = known.types.get(name);
      if (type === undefined || !MADE_UP_DTYPES.has(type.dtype)) {
        const text = `tensor ${printable(name)} cannot be made up, for it is no float`;
        throw new AppError("MODEL_INPUT_INVALID", text);
      }
      const { dtype, shape } = type;
      return [name, synthesise({ name, dtype, shape, value: undefined, range: undefined }, random)];
    }),
  );
}

/** Names the first axis that has no length, and tells how to give it one. */
function refuseUnbound(
  inputs: readonly ValueInfo[],
  bindings: readonly InputBinding[],
  files: readonly InputFile[],
): void {
  const open = inputs
    .filter(({ name }) => !files.some((file) => file.name === name))
    .filter(({ name }) => bindings.find((one) => one.name === name)?.shape === undefined)
    .flatMap(({ name, shape }) =>
      (shape ?? []).flatMap((length, axis) => (isLength(length) ? [] : { name, shape, axis })),
    );
  const [first] = open;
  if (first === undefined) return;
  const declared = first.shape ?? [];
  const called = declared[first.axis];
  const name = printable(first.name);
  const label = typeof called === "string" ? ` ("${printable(called)}")` : "";
  const others = open.length - 1;
  const more = others > 0 ? `, like ${others} more ${others === 1 ? "axis" : "axes"},` : "";
  const example = declared.map((length) => (isLength(length) ? length : 1)).join("x");
  throw new AppError(
    "MODEL_INPUT_UNBOUND",
    `axis ${first.axis}${label} of input ${name}${more} has no fixed length; bind it to the one that will be used, as in --input '${name}=${example}' or, in the configuration, under the model's inputs`,
  );
}

function isLength(length: number | string | null | undefined): length is number {
  return typeof length === "number" && length >= 0;
}

function declaredLengths(input: ValueInfo): number[] {
  if (input.shape === null) {
    throw new AppError(
      "MODEL_INPUT_UNBOUND",
      `input ${printable(input.name)} declares no shape; bind it, as in --input '${printable(input.name)}=1x3x224x224'`,
    );
  }
  return input.shape.filter(isLength);
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
