import { Option } from "commander";
import {
  collectInputBinding,
  collectInputFile,
  INPUT_FILE_SYNTAX,
  INPUT_SYNTAX,
} from "./input-binding.js";
import { wholeNumber } from "./number-option.js";

/** `--input`, of every command that runs a model. */
export function inputOption(): Option {
  return new Option(
    `--input <${INPUT_SYNTAX}>`,
    "shape and fill of an input; may be given for each input",
  )
    .default([])
    .argParser(collectInputBinding);
}

/** `--input-file`, of every command that runs a model. */
export function inputFileOption(): Option {
  return new Option(
    `--input-file <${INPUT_FILE_SYNTAX}>`,
    "an input's data: .npy, .npz, or raw elements; may be given for each input",
  )
    .default([])
    .argParser(collectInputFile);
}

/** `--input-bytes`, of every offline query. */
export function inputBytesOption(): Option {
  return new Option("--input-bytes <n>", "size of the input (default: the profile's)").argParser(
    wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  );
}

/** `--cost-model`, of every offline query. */
export function costModelOption(): Option {
  return new Option(
    "--cost-model <name>",
    "half a round trip for each hop and the result returned, or as Scission counts",
  )
    .choices(["live", "scission"])
    .default("live");
}
