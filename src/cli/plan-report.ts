import { printable } from "../core/index.js";
import type { PlannedPartition, RankedPlan } from "../planner/index.js";
import { formatMs, renderTable } from "./table.js";

const BAR_COLUMNS_MAX = 60;
/** Columns beside the bars: the stage's name and its time. */
const LABEL_COLUMNS = 44;
const BYTES_PER_MEGABYTE = 1_000_000;

interface View {
  columns: number;
  /** Whether energy, price and the longest stage are of interest beside latency. */
  withObjectives: boolean;
}

/** The document that `plan --json` prints. */
export function planJson(
  model: string,
  answer: { plans: readonly RankedPlan[]; infeasible: string | null },
  { withObjectives }: View,
): string {
  const plans = answer.plans.map((plan, index) => ({
    rank: index + 1,
    latencyMs: plan.latencyMs,
    transferBytes: plan.transferBytes,
    ...(withObjectives
      ? { bottleneckMs: plan.bottleneckMs, energyJoules: plan.energyJoules, price: plan.price }
      : {}),
    partitions: plan.partitions.map(({ tier, node, firstLayer, lastLayer, computeMs }) => ({
      tier,
      node,
      firstLayer,
      lastLayer,
      computeMs,
    })),
    hops: plan.hops,
  }));
  return `${JSON.stringify({ model, plans, infeasible: answer.infeasible })}\n`;
}

/** A line for each plan, then the stages of the best one as bars. */
export function planReport(model: string, plans: readonly RankedPlan[], view: View): string {
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

function objectiveCells({ bottleneckMs, energyJoules, price }: RankedPlan): string[] {
  return [
    formatMs(bottleneckMs),
    energyJoules === null ? "?" : `${energyJoules.toPrecision(4)} J`,
    price === null ? "?" : price.toPrecision(4),
  ];
}

function describePartition({ tier, node, firstLayer, lastLayer }: PlannedPartition): string {
  return `${tier} ${printable(node, 40)} ${firstLayer}–${lastLayer}`;
}

/** Computing and transfers in the order in which they happen. */
function stageBars(plan: RankedPlan, { columns }: { columns: number }): string {
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

function stagesOf(plan: RankedPlan): { name: string; ms: number }[] {
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
      name: `${printable(partition.node, 20)} ${partition.firstLayer}–${partition.lastLayer}`,
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
