import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Command } from "commander";
import { AppError, errorMessage, printable } from "../core/index.js";
import {
  countParameters,
  describeModel,
  encodeNamedModel,
  isModelName,
  MODEL_NAMES,
  type ModelName,
} from "../zoo/index.js";
import { type WrittenFile, writeModelFile } from "./model-file.js";
import { wholeNumber } from "./number-option.js";
import type { Terminal } from "./terminal.js";

const EXAMPLES = `
Examples:
  $ scissiond zoo --list
  $ scissiond zoo mobilenet resnet50 --out models
  $ scissiond zoo --light --out models      all of them, kilobytes to a few megabytes each
`;

interface ZooFlags {
  out: string;
  light: boolean;
  seed: number;
  list: boolean;
  json: boolean;
}

interface ZooEntry {
  name: ModelName;
  parameters: number;
  trainable: number;
  nonTrainable: number;
  inputShape: readonly number[];
}

interface ZooFile extends ZooEntry {
  file: string;
  bytes: number;
  sha256: string;
}

/** `scissiond zoo`: writes the networks of Scission's measurements as ONNX files. */
export function zooCommand(terminal: Terminal): Command {
  return new Command("zoo")
    .description("Write the networks that Scission measured as ONNX files with random weights.")
    .argument("[names...]", "networks to write; all of them by default")
    .option("--out <directory>", "where to write <name>.onnx", ".")
    .option("--light", "store rules that the runtime expands into weights at load", false)
    .option(
      "--seed <number>",
      "start of the pseudo-random weights",
      wholeNumber({ min: 0, max: 0xffff_ffff }),
      1,
    )
    .option("--list", "show the networks and write nothing", false)
    .option("--json", "print one JSON document", false)
    .addHelpText("after", EXAMPLES)
    .action(async (names: string[], flags: ZooFlags) => {
      const models = names.length === 0 ? MODEL_NAMES : names.map(parseName);
      if (flags.list) printList(terminal, models, flags);
      else await writeModels(terminal, models, flags);
    });
}

function printList(terminal: Terminal, models: readonly ModelName[], flags: ZooFlags): void {
  const entries = models.map(entryOf);
  if (flags.json) {
    terminal.out(`${JSON.stringify({ models: entries })}\n`);
    return;
  }
  for (const { name, parameters, inputShape } of entries) {
    const count = parameters.toLocaleString("en-US").padStart(11);
    terminal.out(`${name.padEnd(20)} ${count} parameters, input ${inputShape.join("×")}\n`);
  }
}

async function writeModels(
  terminal: Terminal,
  models: readonly ModelName[],
  flags: ZooFlags,
): Promise<void> {
  const files: ZooFile[] = [];
  for (const name of models) {
    const entry = entryOf(name);
    const file = join(resolve(flags.out), `${name}.onnx`);
    terminal.err(`Writing ${file} …\n`);
    const model = encodeNamedModel(name, { seed: flags.seed, light: flags.light });
    const written = await writeFile(file, model.chunks(), terminal);
    files.push({ ...entry, file, ...written });
    if (flags.json) continue;
    terminal.out(
      `${file}  ${entry.parameters} parameters  ${written.bytes} bytes  sha256 ${written.sha256}\n`,
    );
  }
  if (flags.json) terminal.out(`${JSON.stringify({ models: files })}\n`);
}

async function writeFile(
  file: string,
  chunks: Iterable<Uint8Array>,
  { signal }: Terminal,
): Promise<WrittenFile> {
  try {
    await mkdir(dirname(file), { recursive: true });
    return await writeModelFile(file, chunks, signal);
  } catch (cause) {
    if (signal.aborted) {
      throw new AppError("ABORTED", `${file} was not written: interrupted`, { cause });
    }
    const why = errorMessage(cause);
    throw new AppError("FILE_UNWRITABLE", `${file} cannot be written: ${why}`, { cause });
  }
}

function entryOf(name: ModelName): ZooEntry {
  const graph = describeModel(name);
  const { total, trainable, nonTrainable } = countParameters(graph);
  return { name, parameters: total, trainable, nonTrainable, inputShape: graph.input.shape };
}

function parseName(text: string): ModelName {
  if (isModelName(text)) return text;
  throw new AppError(
    "USAGE",
    `there is no network "${printable(text)}"; known are ${MODEL_NAMES.join(", ")}`,
  );
}
