import { AppError, printable } from "../core/index.js";
import { type InputBinding, inputBindingSchema, parseValue } from "../protocol/index.js";

/** `NAME=2x3[:VALUE]`: the name ends at the last `=`, no dimension at all means a scalar. */
export const INPUT_SYNTAX = "NAME=2x3[:VALUE]";

const LENGTH = /^\d{1,15}$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * One `--input` of the command line.
 * @throws AppError USAGE, quoting the text and saying what is wrong with it
 */
export function parseInputBinding(text: string): InputBinding {
  const refuse = (why: string): AppError =>
    new AppError("USAGE", `--input '${printable(text)}': ${why}; write ${INPUT_SYNTAX}`);
  const nameEnd = text.lastIndexOf("=");
  if (nameEnd < 1) throw refuse("there is no name before an =");
  const name = text.slice(0, nameEnd);
  const [lengths = "", value, ...rest] = text.slice(nameEnd + 1).split(":");
  if (rest.length > 0) throw refuse("there is more than one value");
  const shape = lengths === "" ? [] : lengths.split("x");
  const wrong = shape.find((length) => !LENGTH.test(length));
  if (wrong !== undefined) throw refuse(`'${printable(wrong)}' is no length of an axis`);
  if (value !== undefined && !NUMBER.test(value)) {
    throw refuse(`'${printable(value)}' is no number`);
  }
  const binding = parseValue(
    { name, shape: shape.map(Number), ...(value === undefined ? {} : { value: Number(value) }) },
    inputBindingSchema,
  );
  if (!binding.ok) throw refuse(binding.message);
  return binding.value;
}

/** Collects repeated `--input` options; the same name twice is a mistake. */
export function collectInputBinding(text: string, previous: InputBinding[]): InputBinding[] {
  const binding = parseInputBinding(text);
  if (previous.some(({ name }) => name === binding.name)) {
    throw new AppError("USAGE", `--input binds ${printable(binding.name)} twice`);
  }
  return [...previous, binding];
}
