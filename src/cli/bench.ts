import { hostname } from "node:os";
import { Command, Option } from "commander";
import {
  type BenchmarkOptions,
  benchmarkModel,
  benchmarkOptionsSchema,
  type InputFile,
} from "../benchmark/index.js";
import { AppError, printable, silentLogger, systemClock } from "../core/index.js";
import { type InputBinding, type Profile, TIERS, type Tier } from "../protocol/index.js";
import {} from "./input-binding.js";
import { describeTensor } from "./inspect.js";
import { decimalNumber, wholeNumber } from "./number-option.js";
import { createProgressBar } from "./progress-bar.js";
import { formatBytes, formatMs, renderTable } from "./table.js";
import type { Terminal } from "./terminal.js";
import { inputFileOption, inputOption } from "./shared-options.js";

interface BenchFlags {
  json: boolean;
  input: InputBinding[];
  inputFile: InputFile[];
  tier: Tier;
  node?: string;
  hardwareClass?: string;
  modelName?: string;
  timeout?: number;
  warmups?: number;
  repeats?: number;
  threads?: number;
  provider?: string[];
  maxCutTensors?: number;
  cutInsideFusions: boolean;
  slowdown: number;
}

const EXAMPLES = `
Examples:
  scissiond bench resnet50.onnx
  scissiond bench resnet50.onnx --tier device --node camera-7 --json > device.json
  scissiond bench silero.onnx --input 'input=1x576' --input 'sr=:16000' --timeout 60
  scissiond bench detector.onnx --input 'image=1x3x320x320:0..255'
  scissiond bench detector.onnx --input-file image=frame.npy

Times are medians. The command fails when the chained blocks do not compute what the model computes.
`;

export function benchCommand(terminal: Terminal): Command {
  return new Command("bench")
    .description("Times each block of a model on this machine, and checks the split.")
    .argument("<model>", "path of an ONNX file")
    .option("--json", "print one JSON document: a profile, as `scissiond plan` reads it", false)
    .addOption(new Option("--tier <tier>", "tier of this node").choices([...TIERS]).default("edge"))
    .option("--node <name>", "name of this node (default: the host's)")
    .option("--hardware-class <name>", "class of equal machines (default: the node's name)")
    .option("--model-name <name>", "name of the model in the profile (default: the file's)")
    .addOption(inputOption())
    .addOption(inputFileOption())
    .option(
      "--timeout <seconds>",
      "bounds the whole command",
      decimalNumber({ min: 0.001, max: 86_400 }),
    )
    .option("--warmups <n>", "untimed runs of each block", wholeNumber({ min: 0, max: 1_000 }))
    .option(
      "--repeats <n>",
      "timed runs of each block (default: as many as make its median certain)",
      wholeNumber({ min: 1, max: 10_000 }),
    )
    .option("--threads <n>", "threads of one inference", wholeNumber({ min: 1, max: 1_024 }))
    .option(
      "--provider <names>",
      "ONNX Runtime's execution providers, the preferred one first: cuda,cpu (default cpu)",
      providerNames,
    )
    .option(
      "--max-cut-tensors <n>",
      "most tensors that may cross one cut (default 1)",
      wholeNumber({ min: 1, max: 64 }),
    )
    .option("--cut-inside-fusions", "also cut where ONNX Runtime fuses layers", false)
    .option(
      "--slowdown <factor>",
      "multiplies every time, to stand for a slower node; recorded",
      decimalNumber({ min: 0.001, max: 1_000_000 }),
      1,
    )
    .addHelpText("after", EXAMPLES)
    .action((model: string, flags: BenchFlags) => bench(terminal, model, flags));
}

async function bench(terminal: Terminal, path: string, flags: BenchFlags): Promise<void> {
  const name = flags.node ?? hostNodeName();
  const bar = createProgressBar(terminal, systemClock);
  const profile = await benchmarkModel(
    {
      path,
      modelName: flags.modelName,
      node: { tier: flags.tier, name, hardwareClass: flags.hardwareClass ?? name },
      inputs: flags.input,
      inputFiles: flags.inputFile,
      emulatedSlowdown: flags.slowdown,
    },
    optionsOf(flags),
    {
      log: silentLogger,
      clock: systemClock,
      signal: terminal.signal,
      onProgress: (progress) => bar.show(progress),
      onNote: (note) => terminal.err(`note: ${note}\n`),
    },
  ).finally(() => bar.clear());
  terminal.out(flags.json ? `${JSON.stringify(profile)}\n` : describeProfile(profile));
  if (!profile.equality.ok) throw notEqualError(profile);
}

function optionsOf(flags: BenchFlags): BenchmarkOptions {
  const { warmups, repeats, maxCutTensors, cutInsideFusions, threads, provider, timeout } = flags;
  const given = {
    warmups,
    repeats,
    repeatsMax: repeats,
    maxCutTensors,
    cutInsideFusions,
    timeoutMs: timeout === undefined ? undefined : Math.ceil(timeout * 1_000),
    // Whoever calls this waits for it: no reason to yield.
    inference: { threads, executionProviders: provider, niceness: 0 },
  };
  return benchmarkOptionsSchema.parse(given);
}

/** @throws AppError USAGE */
function providerNames(text: string): string[] {
  const names = benchmarkOptionsSchema.shape.inference
    .unwrap()
    .shape.executionProviders.safeParse(text.split(","));
  if (names.success) return names.data;
  throw new AppError("USAGE", `--provider '${printable(text)}': write names as in cuda,cpu`);
}

/** The host's name as a name of ours: lower-case letters, digits and hyphens. */
function hostNodeName(): string {
  const name = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 63);
  return name === "" ? "node" : name;
}

function describeProfile(profile: Profile): string {
  const { node, environment, blocks, equality } = profile;
  const slowdown =
    environment.emulatedSlowdown === 1
      ? ""
      : `, times multiplied by ${environment.emulatedSlowdown} (emulated)`;
  const rows = blocks.map((block) => [
    String(block.index),
    `${block.firstLayer}–${block.lastLayer}`,
    formatMs(block.medianMs),
    formatMs(block.rawMedianMs ?? block.medianMs),
    `${formatMs(block.spreadMs)}${block.stable === false ? " !" : ""}`,
    String(block.repeats),
    formatBytes(block.outputBytes),
    block.cutTensors.map(describeTensor).join(", "),
  ]);
  const header = ["block", "layers", "time", "alone", "spread", "runs", "output", "tensors"];
  const right = new Set(header.slice(0, -1));
  const verdict = equality.ok
    ? `the chained blocks compute what the model computes (largest relative difference ${equality.maxRelativeError.toExponential(1)})`
    : "THE CHAINED BLOCKS DO NOT COMPUTE WHAT THE MODEL COMPUTES";
  return [
    `${printable(profile.model.name)}  sha256 ${profile.model.sha256}`,
    `on ${node.name} (${node.tier}): ${environment.cpuModel}, ${environment.threads} of ${environment.logicalCores} cores, ONNX Runtime ${environment.onnxruntimeVersion} ${environment.provider}${slowdown}`,
    `whole model ${formatMs(profile.wholeMs)}; ${describeCalibration(profile)}; input ${formatBytes(profile.inputBytes)}`,
    ...(blocks.length === 1 ? ["This model cannot be split here: it is one block."] : []),
    ...describeTrust(profile),
    "",
    renderTable(header, rows, right) + verdict,
    "",
  ].join("\n");
}

function describeCalibration({ blocks, calibration }: Profile): string {
  const count = `${blocks.length} ${blocks.length === 1 ? "block" : "blocks"}`;
  if (calibration === undefined) return count;
  const { rawSumMs, residualPercent } = calibration;
  const checked =
    residualPercent === null ? "" : `, checked on both halves: ${residualPercent.toFixed(1)} % off`;
  return `${count}, alone ${formatMs(rawSumMs)} in sum, calibrated to the whole${checked}`;
}

/** Why these times deserve less trust, if so. */
function describeTrust({ blocks, whole, noise }: Profile): string[] {
  const lines = (noise?.marks ?? []).map((mark) => `measured on a busy machine: ${mark}`);
  const unstable = blocks.filter((block) => block.stable === false).length;
  if (whole?.stable === false) lines.push("the whole model's median is not certain yet");
  if (unstable > 0) {
    lines.push(`the medians marked ! (${unstable} of ${blocks.length}) are not certain yet`);
  }
  return lines;
}

function notEqualError(profile: Profile): AppError {
  return new AppError(
    "MODEL_NOT_EQUAL",
    `the chained blocks of ${printable(profile.model.name)} differ from the whole model by up to ${profile.equality.maxAbsoluteError} (relative ${profile.equality.maxRelativeError}); do not split it`,
  );
}
