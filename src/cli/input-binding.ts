import type { InputFile } from "../benchmark/index.js";
import { AppError, printable } from "../core/index.js";
import { type InputBinding, inputBindingSchema, parseValue } from "../protocol/index.js";

/** `NAME=2x3[:VALUE]`, `NAME=2x3:LEAST..LARGEST`: the name ends at the last `=`, no dimension at all means a scalar. */
export const INPUT_SYNTAX = "NAME=2x3[:VALUE|:LEAST..LARGEST]";

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
  const bounds = value?.split("..") ?? [];
  const noNumber = bounds.find((bound) => !NUMBER.test(bound));
  if (noNumber !== undefined) throw refuse(`'${printable(noNumber)}' is no number`);
  if (bounds.length > 2) throw refuse("a range has two ends");
  const [least, largest] = bounds.map(Number);
  const fill = largest === undefined ? { value: least } : { range: [least, largest] };
  const binding = parseValue(
    { name, shape: shape.map(Number), ...(value === undefined ? {} : fill) },
    inputBindingSchema,
  );
  if (!binding.ok) throw refuse(binding.message);
  return binding.value;
}

export const INPUT_FILE_SYNTAX = "NAME=FILE";

/**
 * Collects repeated `--input-file` options.
 * @throws AppError USAGE
 */
export function collectInputFile(text: string, previous: InputFile[]): InputFile[] {
  const nameEnd = text.indexOf("=");
  const file = { name: text.slice(0, nameEnd), path: text.slice(nameEnd + 1) };
  if (nameEnd < 1 || file.path === "") {
    throw new AppError("USAGE", `--input-file '${printable(text)}': write ${INPUT_FILE_SYNTAX}`);
  }
  if (previous.some(({ name }) => name === file.name)) {
    throw new AppError("USAGE", `--input-file gives ${printable(file.name)} twice`);
  }
  return [...previous, file];
}

/** Collects repeated `--input` options; the same name twice is a mistake. */
export function collectInputBinding(text: string, previous: InputBinding[]): InputBinding[] {
  const binding = parseInputBinding(text);
  if (previous.some(({ name }) => name === binding.name)) {
    throw new AppError("USAGE", `--input binds ${printable(binding.name)} twice`);
  }
  return [...previous, binding];
}
