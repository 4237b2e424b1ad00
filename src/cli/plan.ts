import { Command } from "commander";
import {
  buildQuery,
  costModelSchema,
  loadProfiles,
  paretoPlans,
  planChart,
  type PlanningProblem,
  type ProfileSet,
  parseLinks,
  parseNodesFile,
  parseObjective,
  rankPlans,
  SCISSION_COST_MODEL,
  SCISSION_INPUT_BYTES,
} from "../planner/index.js";
import { AppError } from "../core/index.js";
import { decimalNumber, wholeNumber } from "./number-option.js";
import { readJsonFiles, readTextFile, writePicture } from "./plan-files.js";
import { planByLayers } from "./plan-layers.js";
import { planJson, planReport, type ShownPlan } from "./plan-report.js";
import { EXIT_CODES, type Terminal } from "./terminal.js";
import { costModelOption, inputBytesOption } from "./shared-options.js";

interface PlanFlags {
  profiles: string;
  links: string;
  model: string;
  device?: string;
  edge?: string;
  cloud?: string;
  deviceUpload?: number;
  edgeUpload?: number;
  deviceTime?: string;
  edgeTime?: string;
  cloudTime?: string;
  inputBytes?: number;
  costModel: "live" | "scission";
  path: string[];
  objective: string;
  deadline?: number;
  nodes?: string;
  pareto: boolean;
  plot?: string;
  byLayers?: string;
  top: number;
  json: boolean;
}

const EXAMPLES = `
Examples:
  scissiond plan --profiles profiles --links links.json --model resnet50
  scissiond plan --profiles profiles --links links.csv --model vgg19 --device '!-1' --edge 10 --cloud 16
  scissiond plan --profiles profiles --links links.csv --model 3f9a --edge-time 30% --top 20 --json

  scissiond plan --profiles profiles --links links.csv --model vgg19 --nodes nodes.json --objective energy --deadline 500
  scissiond plan --profiles profiles --links links.json --model vgg19 --path cam-1,edge-1,edge-2,gpu-1

Criteria, joined by commas: 3 (layer 3 runs here), !10 (layer 10 does not), edge-1 (this node is
used), !edge-1 (it is not), -1 (the tier is not used), !-1 (it is). A number is a node where the tier
has one so named; layer:7 and node:7 are unambiguous.
`;

const MEGABYTES = { min: 0, max: 1e12 };

export function planCommand(terminal: Terminal): Command {
  return new Command("plan")
    .description("Ranks all ways to run a model, native and distributed, from measurements.")
    .requiredOption(
      "--profiles <dir>",
      "profiles (`bench --json`) and Scission's <tier>-<node>.json",
    )
    .requiredOption("--links <file>", "links between nodes, CSV or JSON")
    .requiredOption("--model <name>", "a model's name, or the start of its SHA-256")
    .option("--device <criteria>", "what the device must and must not run")
    .option("--edge <criteria>", "the same for the edge")
    .option("--cloud <criteria>", "the same for the cloud")
    .option("--device-upload <mb>", "most that the device may send", decimalNumber(MEGABYTES))
    .option("--edge-upload <mb>", "most that the edge may send onward", decimalNumber(MEGABYTES))
    .option("--device-time <limit>", "most computing on the device: seconds, or a share like 50%")
    .option("--edge-time <limit>", "the same for the edge")
    .option("--cloud-time <limit>", "the same for the cloud")
    .addOption(inputBytesOption())
    .addOption(costModelOption())
    .option(
      "--path <nodes>",
      "an order that data may take, names joined by commas; may be repeated",
      (path: string, others: string[]) => [...others, path],
      [],
    )
    .option(
      "--objective <what>",
      "latency, throughput, energy, cost, or weights: latency=1,energy=0.2",
      "latency",
    )
    .option("--pareto", "every plan that no other beats in all objectives at once", false)
    .option(
      "--nodes <file>",
      "JSON with activeWatts, memoryBytes, pricePerHour of nodes; joulesPerMegabyte, pricePerGigabyte of links",
    )
    .option(
      "--deadline <ms>",
      "longest latency that is allowed",
      decimalNumber({ min: 0.000_001, max: 1e12 }),
    )
    .option(
      "--by-layers <model.onnx>",
      "the best plan whose parts need not be consecutive, from fine-grained profiles",
    )
    .option("--plot <file>", "draw the best plan as an SVG picture")
    .option("--top <k>", "how many plans to show", wholeNumber({ min: 1, max: 100_000 }), 5)
    .option("--json", "print one JSON document", false)
    .addHelpText("after", EXAMPLES)
    .action((flags: PlanFlags) => plan(terminal, flags));
}

async function plan(terminal: Terminal, flags: PlanFlags): Promise<void> {
  const profiles = loadProfiles(await readJsonFiles(flags.profiles), flags.model);
  const links = parseLinks(await readTextFile(flags.links, "LINKS_INVALID"));
  const known = [...profiles.nodes.map(({ name }) => name), ...links.map(({ from }) => from)];
  const nodesFile =
    flags.nodes === undefined
      ? undefined
      : parseNodesFile(await readTextFile(flags.nodes, "USAGE"), known);
  const isScission = flags.costModel === "scission";
  const { problem, contradiction, notes } = buildQuery(profiles, links, {
    costModel: isScission ? SCISSION_COST_MODEL : costModelSchema.parse({}),
    criteria: { device: flags.device, edge: flags.edge, cloud: flags.cloud },
    uploadMegabytes: { device: flags.deviceUpload, edge: flags.edgeUpload },
    times: { device: flags.deviceTime, edge: flags.edgeTime, cloud: flags.cloudTime },
    inputBytes: flags.inputBytes ?? (isScission ? SCISSION_INPUT_BYTES : undefined),
    topK: flags.top,
    paths: flags.path,
    objective: parseObjective(flags.objective),
    nodesFile,
    deadlineMs: flags.deadline,
  });
  for (const note of notes) terminal.err(`note: ${note}\n`);
  const answer =
    contradiction === undefined
      ? await answerOf(flags, profiles, problem)
      : { plans: [], infeasible: contradiction };
  const isLatencyAlone = flags.objective === "latency" && !flags.pareto && nodesFile === undefined;
  const view = { columns: terminal.columns, withObjectives: !isLatencyAlone };
  const [best] = answer.plans;
  if (flags.plot !== undefined && best !== undefined && "bottleneckMs" in best) {
    await writePicture(flags.plot, planChart(profiles.model, problem, best));
  }
  if (flags.json) terminal.out(planJson(profiles.model, answer, view));
  else if (answer.plans.length > 0) {
    terminal.out(planReport(profiles.model, answer.plans, view));
  }
  if (answer.infeasible !== null) {
    terminal.err(`scissiond: there is no plan: ${answer.infeasible}\n`);
    terminal.setExitCode(EXIT_CODES.failed);
  }
}

async function answerOf(
  flags: PlanFlags,
  profiles: ProfileSet,
  problem: PlanningProblem,
): Promise<{ plans: readonly ShownPlan[]; infeasible: string | null }> {
  if (flags.byLayers === undefined) return flags.pareto ? paretoPlans(problem) : rankPlans(problem);
  if (flags.plot !== undefined || flags.pareto) {
    throw new AppError(
      "USAGE",
      "--by-layers gives one plan and no picture; drop --plot and --pareto",
    );
  }
  const { plan, infeasible } = await planByLayers(flags.byLayers, profiles, problem);
  return { plans: plan === null ? [] : [plan], infeasible };
}
