import { Command, InvalidArgumentError } from "commander";
import { formatProblems, loadDaemonConfig } from "../config/index.js";
import { AppError } from "../core/index.js";
import {
  DEFAULT_SOURCE_RULES,
  type DriftOptions,
  driftOptionsSchema,
  type SourceRules,
} from "../drift/index.js";
import {
  buildQuery,
  costModelSchema,
  loadProfiles,
  parseLinks,
  SCISSION_COST_MODEL,
  SCISSION_INPUT_BYTES,
} from "../planner/index.js";
import { TIERS, type Tier } from "../protocol/index.js";
import {
  countVariedLinks,
  decisionsOf,
  parseRecording,
  parseTrace,
  type Replay,
  type ReplayOptions,
  replayRecording,
  replayTrace,
  type Scene,
  type TierPair,
  timelineChart,
  type Trace,
  tune,
} from "../replay/index.js";
import { decimalNumber } from "./number-option.js";
import { readJsonFiles, readTextFile, writePicture } from "./plan-files.js";
import { replayJson, replayReport, tuningReport } from "./replay-report.js";
import type { Terminal } from "./terminal.js";
import { costModelOption, inputBytesOption } from "./shared-options.js";

interface ReplayFlags {
  profiles: string;
  links: string;
  model: string;
  device?: string;
  edge?: string;
  cloud?: string;
  inputBytes?: number;
  costModel: "live" | "scission";
  trace?: string;
  recording: string[];
  vary: TierPair[];
  fallbackMs?: number;
  switchMs: number;
  config?: string;
  pipeline?: string;
  tune: boolean;
  plot?: string;
  json: boolean;
}

const EXAMPLES = `
Examples:
  scissiond replay --profiles profiles --links links.csv --model vgg19 --trace drive.csv
  scissiond replay --profiles profiles --links links.csv --model vgg19 --trace drive.csv --device '!-1' \\
    --cost-model scission --vary device:edge,device:cloud --json
  scissiond replay --profiles profiles --links links.json --model resnet50 --trace walk.csv \\
    --config /etc/scissiond/scissiond.yaml --pipeline camera --switch-ms 200

  scissiond replay --profiles profiles --links links.json --model resnet50 \\
    --recording /var/lib/scissiond/recording/recording.jsonl

The trace is CSV, second,mbps; 0 is an outage. One request a second is served by the plan in force at
that second's bandwidth; what is measured is known to the policy from the next second on.
  adaptive     the daemon's policy, with its thresholds
  static       the best plan for the mean of the first 10 seconds, kept
  best static  the best plan in hindsight of those that never change
  tracker      plans anew each second from the last sample alone
  oracle       the best plan of each second, known before it comes
`;

const DURATION_MS = { min: 0, max: 3_600_000 };

export function replayCommand(terminal: Terminal): Command {
  return new Command("replay")
    .description(
      "Runs a recorded bandwidth through the policy of the daemon: what would it have done?",
    )
    .requiredOption(
      "--profiles <dir>",
      "profiles (`bench --json`) and Scission's <tier>-<node>.json",
    )
    .requiredOption("--links <file>", "links before the trace, CSV or JSON")
    .requiredOption("--model <name>", "a model's name, or the start of its SHA-256")
    .option("--trace <file>", "bandwidth over time: CSV, second,mbps")
    .option(
      "--recording <file>",
      "instead of a trace, what the daemon recorded; may be repeated, the oldest file first",
      (path: string, others: string[]) => [...others, path],
      [],
    )
    .option(
      "--vary <tiers>",
      "the links that the trace replaces, as pairs of tiers",
      parsePairs,
      parsePairs("device:edge,device:cloud"),
    )
    .option("--device <criteria>", "what the device must and must not run, as for `plan`")
    .option("--edge <criteria>", "the same for the edge")
    .option("--cloud <criteria>", "the same for the cloud")
    .addOption(inputBytesOption())
    .addOption(costModelOption())
    .option(
      "--fallback-ms <ms>",
      "what a failing transfer loses before the device computes alone (default: the thresholds')",
      decimalNumber(DURATION_MS),
    )
    .option(
      "--switch-ms <ms>",
      "what a switch costs the request it hits",
      decimalNumber(DURATION_MS),
      0,
    )
    .option(
      "--config <file>",
      "take the thresholds, and the weights of link sources, of this daemon's configuration",
    )
    .option("--pipeline <name>", "and those of this pipeline in it")
    .option(
      "--tune",
      "propose thresholds: trained on the first half of the trace, judged on the second",
      false,
    )
    .option("--plot <file>", "draw the timeline as an SVG picture")
    .option("--json", "print one JSON document", false)
    .addHelpText("after", EXAMPLES)
    .action((flags: ReplayFlags) => replay(terminal, flags));
}

async function replay(terminal: Terminal, flags: ReplayFlags): Promise<void> {
  const { policy, sources } = await optionsOf(terminal, flags);
  const scene = await sceneOf(terminal, flags, flags.fallbackMs ?? policy.fallbackMs);
  const told = flags.switchMs > 0 ? { ...policy, switchCostMs: flags.switchMs } : policy;
  const run: ReplayOptions = { policy: told, switchMs: flags.switchMs };
  if (flags.tune) {
    const trace = await traceOf(scene, flags);
    const tuning = tune(trace, told, (part, tried) =>
      replayTrace(scene, part, { ...run, policy: tried }),
    );
    terminal.out(flags.json ? `${JSON.stringify(tuning)}\n` : tuningReport(tuning));
    return;
  }
  const result = await replayOf(scene, flags, { ...run, sources });
  const decisions = decisionsOf(result, { scene, options: told });
  if (flags.plot !== undefined) {
    const chart = timelineChart(scene, result, { title: flags.model, decisions });
    await writePicture(flags.plot, chart);
  }
  terminal.out(flags.json ? replayJson(result, decisions) : replayReport(result, decisions));
}

async function replayOf(
  scene: Scene,
  flags: ReplayFlags,
  run: ReplayOptions & { sources: SourceRules },
): Promise<Replay> {
  if (flags.recording.length === 0) return replayTrace(scene, await traceOf(scene, flags), run);
  if (flags.trace !== undefined) {
    throw new AppError("USAGE", "give either --trace or --recording");
  }
  const files = [];
  for (const path of flags.recording) files.push(await readTextFile(path, "TRACE_INVALID"));
  return replayRecording(scene, parseRecording(files), run);
}

async function traceOf(scene: Scene, flags: ReplayFlags): Promise<Trace> {
  if (flags.trace === undefined) throw new AppError("USAGE", "give --trace FILE");
  if (countVariedLinks(scene) === 0) {
    const named = flags.vary.map((pair) => pair.join(":")).join(",");
    throw new AppError("USAGE", `--vary ${named}: ${flags.links} has no link between these tiers`);
  }
  return parseTrace(await readTextFile(flags.trace, "TRACE_INVALID"));
}

async function sceneOf(terminal: Terminal, flags: ReplayFlags, fallbackMs: number): Promise<Scene> {
  const profiles = loadProfiles(await readJsonFiles(flags.profiles), flags.model);
  const links = parseLinks(await readTextFile(flags.links, "LINKS_INVALID"));
  const isScission = flags.costModel === "scission";
  const { problem, contradiction, notes } = buildQuery(profiles, links, {
    costModel: isScission ? SCISSION_COST_MODEL : costModelSchema.parse({}),
    criteria: { device: flags.device, edge: flags.edge, cloud: flags.cloud },
    uploadMegabytes: {},
    times: {},
    inputBytes: flags.inputBytes ?? (isScission ? SCISSION_INPUT_BYTES : undefined),
    topK: 1,
    paths: [],
    objective: "latency",
    nodesFile: undefined,
    deadlineMs: undefined,
  });
  for (const note of notes) terminal.err(`note: ${note}\n`);
  if (contradiction !== undefined) {
    throw new AppError("PLAN_INFEASIBLE", `there is no plan: ${contradiction}`);
  }
  return { problem, varied: flags.vary, fallbackMs };
}

/** The thresholds, and how much each source of link reports counts. */
async function optionsOf(
  terminal: Terminal,
  flags: ReplayFlags,
): Promise<{ policy: DriftOptions; sources: SourceRules }> {
  if (flags.config === undefined) {
    if (flags.pipeline !== undefined) {
      throw new AppError("USAGE", "--pipeline names one of a configuration; give --config too");
    }
    return { policy: driftOptionsSchema.parse({}), sources: DEFAULT_SOURCE_RULES };
  }
  const loaded = await loadDaemonConfig(flags.config, terminal.env);
  if (!loaded.ok) {
    throw new AppError("CONFIG_INVALID", formatProblems(loaded.errors));
  }
  const { sources } = loaded.config.telemetry;
  if (flags.pipeline === undefined) return { policy: loaded.config.thresholds, sources };
  const pipeline = loaded.config.pipelines.find(({ name }) => name === flags.pipeline);
  if (pipeline === undefined) {
    throw new AppError(
      "USAGE",
      `--pipeline ${flags.pipeline}: ${flags.config} has no such pipeline`,
    );
  }
  return { policy: pipeline.thresholds, sources };
}

/** "device:edge,device:cloud". */
function parsePairs(text: string): TierPair[] {
  return text.split(",").map((pair) => {
    const tiers = pair.split(":").map((tier) => tier.trim());
    const [one, other] = tiers;
    if (tiers.length !== 2 || !isTier(one) || !isTier(other)) {
      throw new InvalidArgumentError("Give pairs of tiers, such as device:edge,device:cloud.");
    }
    return [one, other];
  });
}

function isTier(text: string | undefined): text is Tier {
  return TIERS.some((tier) => tier === text);
}
