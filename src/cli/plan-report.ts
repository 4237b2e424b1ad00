import { printable } from "../core/index.js";
import type { DagPartition, DagPlan, PlannedPartition, RankedPlan } from "../planner/index.js";
import { formatMs, renderTable } from "./table.js";

const BAR_COLUMNS_MAX = 60;
/** Columns beside the bars: the stage's name and its time. */
const LABEL_COLUMNS = 44;
const RANGES_SHOWN_MAX = 3;
const BYTES_PER_MEGABYTE = 1_000_000;

/** A plan by blocks, or one by layers, which has no other objectives. */
export type ShownPlan = RankedPlan | DagPlan;

interface View {
  columns: number;
  /** Whether energy, price and the longest stage are of interest beside latency. */
  withObjectives: boolean;
}

/** The document that `plan --json` prints. */
export function planJson(
  model: string,
  answer: { plans: readonly ShownPlan[]; infeasible: string | null },
  { withObjectives }: View,
): string {
  const plans = answer.plans.map((plan, index) => ({
    rank: index + 1,
    latencyMs: plan.latencyMs,
    transferBytes: plan.transferBytes,
    ...(withObjectives && "bottleneckMs" in plan
      ? { bottleneckMs: plan.bottleneckMs, energyJoules: plan.energyJoules, price: plan.price }
      : {}),
    partitions: plan.partitions.map(partitionJson),
    hops: plan.hops,
  }));
  return `${JSON.stringify({ model, plans, infeasible: answer.infeasible })}\n`;
}

function partitionJson(partition: PlannedPartition | DagPartition): object {
  const { tier, node, firstLayer, lastLayer, computeMs } = partition;
  const ranges = "layers" in partition ? partition.layers : [];
  return {
    tier,
    node,
    firstLayer,
    lastLayer,
    computeMs,
    ...(ranges.length > 1 ? { layers: ranges } : {}),
  };
}

/** A line for each plan, then the stages of the best one as bars. */
export function planReport(model: string, plans: readonly ShownPlan[], view: View): string {
  const rows = plans.map((plan, index) => [
    String(index + 1),
    formatMs(plan.latencyMs),
    ...(view.withObjectives ? objectiveCells(plan) : []),
    `${(plan.transferBytes / BYTES_PER_MEGABYTE).toFixed(4)} MB`,
    plan.partitions.length === 1 ? "native" : "distributed",
    plan.partitions.map(describePartition).join(" → "),
  ]);
  const objectives = view.withObjectives ? OBJECTIVE_COLUMNS : [];
  const header = ["rank", "latency", ...objectives, "moved", "kind", "who runs which layers"];
  const right = new Set(["rank", "latency", ...objectives, "moved"]);
  const table = renderTable(header, rows, right);
  const [best] = plans;
  if (best === undefined) return table;
  return `${printable(model, 80)}\n\n${table}\nBest: ${formatMs(best.latencyMs)}\n${stageBars(best, view)}`;
}

const OBJECTIVE_COLUMNS = ["longest stage", "energy", "price"];

function objectiveCells(plan: ShownPlan): string[] {
  if (!("bottleneckMs" in plan)) return OBJECTIVE_COLUMNS.map(() => "?");
  const { bottleneckMs, energyJoules, price } = plan;
  return [
    formatMs(bottleneckMs),
    energyJoules === null ? "?" : `${energyJoules.toPrecision(4)} J`,
    price === null ? "?" : price.toPrecision(4),
  ];
}

function describePartition(partition: PlannedPartition | DagPartition): string {
  return `${partition.tier} ${printable(partition.node, 40)} ${describeLayers(partition)}`;
}

function describeLayers(partition: PlannedPartition | DagPartition): string {
  const { firstLayer, lastLayer } = partition;
  const ranges = "layers" in partition ? partition.layers : [[firstLayer, lastLayer]];
  const shown = ranges.slice(0, RANGES_SHOWN_MAX).map(([first, last]) => `${first}–${last}`);
  const hidden = ranges.length - shown.length;
  return shown.join(",") + (hidden > 0 ? ` and ${hidden} more ranges up to ${lastLayer}` : "");
}

/** Computing and transfers in the order in which they happen. */
function stageBars(plan: ShownPlan, { columns }: { columns: number }): string {
  const stages = stagesOf(plan);
  const longestMs = Math.max(...stages.map((stage) => stage.ms));
  const width = Math.max(10, Math.min(BAR_COLUMNS_MAX, columns - LABEL_COLUMNS));
  const rows = stages.map(({ name, ms }) => [
    name,
    formatMs(ms),
    bar(longestMs === 0 ? 0 : ms / longestMs, width),
  ]);
  return renderTable(["stage", "time", ""], rows, new Set(["time"]));
}

function stagesOf(plan: ShownPlan): { name: string; ms: number }[] {
  const stages: { name: string; ms: number }[] = [];
  const hops = [...plan.hops];
  let at = plan.source;
  const pass = (): void => {
    const hop = hops.shift();
    if (hop === undefined) return;
    stages.push({
      name: `${printable(hop.from, 20)} → ${printable(hop.to, 20)}`,
      ms: hop.transferMs,
    });
  };
  for (const partition of plan.partitions) {
    if (partition.node !== at) pass();
    stages.push({
      name: `${printable(partition.node, 20)} ${describeLayers(partition)}`,
      ms: partition.computeMs,
    });
    at = partition.node;
  }
  pass();
  return stages;
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `share` of `width` columns, to an eighth of a column; never nothing for something. */
function bar(share: number, width: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * width * 8));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
}
