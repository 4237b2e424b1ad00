import { Command } from "commander";
import { benchmarkOptionsSchema, type InputFile, inspectModel } from "../benchmark/index.js";
import { printable, silentLogger, systemClock } from "../core/index.js";
import type { InputBinding, Inspection, TensorInfo } from "../protocol/index.js";
import {} from "./input-binding.js";
import { decimalNumber, wholeNumber } from "./number-option.js";
import { formatBytes, renderTable } from "./table.js";
import type { Terminal } from "./terminal.js";
import { inputFileOption, inputOption } from "./shared-options.js";

interface InspectFlags {
  json: boolean;
  input: InputBinding[];
  inputFile: InputFile[];
  maxCutTensors?: number;
  modelName?: string;
  timeout?: number;
}

const EXAMPLES = `
Examples:
  scissiond inspect resnet50.onnx
  scissiond inspect bert.onnx --input 'input_ids=1x128' --input 'attention_mask=1x128:1'
  scissiond inspect inception.onnx --max-cut-tensors 4 --json
`;

export function inspectCommand(terminal: Terminal): Command {
  return new Command("inspect")
    .description("Shows a model's layers, inputs, outputs and cut points. Times nothing.")
    .argument("<model>", "path of an ONNX file")
    .option("--json", "print one JSON document", false)
    .addOption(inputOption())
    .addOption(inputFileOption())
    .option(
      "--max-cut-tensors <n>",
      "most tensors that may cross one cut (default 1)",
      wholeNumber({ min: 1, max: 64 }),
    )
    .option("--model-name <name>", "name of the model in the output")
    .option(
      "--timeout <seconds>",
      "bounds the whole command",
      decimalNumber({ min: 0.001, max: 86_400 }),
    )
    .addHelpText("after", EXAMPLES)
    .action((model: string, flags: InspectFlags) => inspect(terminal, model, flags));
}

async function inspect(terminal: Terminal, path: string, flags: InspectFlags): Promise<void> {
  const options = benchmarkOptionsSchema.parse({
    ...(flags.maxCutTensors === undefined ? {} : { maxCutTensors: flags.maxCutTensors }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: Math.ceil(flags.timeout * 1_000) }),
  });
  const inspection = await inspectModel(
    { path, modelName: flags.modelName, inputs: flags.input, inputFiles: flags.inputFile },
    options,
    {
      log: silentLogger,
      clock: systemClock,
      signal: terminal.signal,
      onNote: (note) => terminal.err(`note: ${note}\n`),
    },
  );
  terminal.out(flags.json ? `${JSON.stringify(inspection)}\n` : describeInspection(inspection));
}

function describeInspection(inspection: Inspection): string {
  const { model, layers, cutPoints } = inspection;
  const heading = [
    `${printable(model.name)}  sha256 ${model.sha256}`,
    `${layers} layers, ${cutPoints.length} cut points`,
    ...inspection.inputs.map((input) => `input   ${describeTensor(input)}`),
    ...inspection.outputs.map((output) => `output  ${describeTensor(output)}`),
  ].join("\n");
  if (cutPoints.length === 0) {
    return `${heading}\n\nThis model cannot be split: no cut has few enough tensors. It runs on one node, whole.\n`;
  }
  const rows = cutPoints.map((cut) => [
    String(cut.index),
    String(cut.afterLayer),
    formatBytes(cut.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)),
    cut.fused ? "yes" : "",
    cut.tensors.map(describeTensor).join(", "),
  ]);
  const header = ["cut", "after layer", "bytes", "inside a fusion", "tensors"];
  return `${heading}\n\n${renderTable(header, rows, new Set(["cut", "after layer", "bytes"]))}`;
}

/** Name, type and shape on one line, whatever the name holds. */
export function describeTensor(tensor: TensorInfo): string {
  return `${printable(tensor.name, 60)} ${tensor.dtype}[${tensor.shape.join("×")}]`;
}
