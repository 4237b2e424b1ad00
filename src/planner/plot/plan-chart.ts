import { printable } from "../../core/index.js";
import type { Tier } from "../../protocol/index.js";
import type { PlannedHop, PlannedPartition, PlanningProblem, RankedPlan } from "../problem.js";
import { type Box, line, niceTicks, rect, text, textWidth } from "./svg.js";

const WIDTH = 1_000;
const HEIGHT = 520;
const MARGIN = { left: 70, right: 30 };
const TIMELINE: Box = { x: MARGIN.left, y: 118, width: WIDTH - 100, height: 34 };
const CHART: Box = { x: MARGIN.left, y: 240, width: WIDTH - 100, height: 220 };
/** Bars that would vanish are drawn this high. */
const BAR_HEIGHT_MIN = 1.5;
const LABEL_GAP = 8;
const BYTES_PER_MEGABYTE = 1e6;

/** Told apart by colour-blind people too (Okabe and Ito). */
const COLOURS: Record<Tier, string> = { device: "#0072b2", edge: "#e69f00", cloud: "#009e73" };
/** Of texts upon these colours. */
const TEXT_COLOURS: Record<Tier, string> = { device: "#fff", edge: "#222", cloud: "#fff" };
const TRANSFER_COLOUR = "#8a8a8a";
/** A strip under the bars that shows the tier even where they are too low to see. */
const STRIP_HEIGHT = 6;
const GRID_COLOUR = "#dddddd";

/**
 * A plan as an SVG picture: its stages in time, then the time of each block in the colour of the tier
 * that runs it, with what crosses each cut.
 */
export function planChart(model: string, problem: PlanningProblem, plan: RankedPlan): string {
  const parts = [
    rect({ x: 0, y: 0, width: WIDTH, height: HEIGHT }, "#ffffff"),
    ...heading(model, plan),
    ...timeline(plan),
    ...blockChart(problem, plan),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif">\n${parts.join("\n")}\n</svg>\n`;
}

function heading(model: string, plan: RankedPlan): string[] {
  const kind = plan.partitions.length === 1 ? "native" : "distributed";
  const computeMs = plan.partitions.reduce((sum, part) => sum + part.computeMs, 0);
  const transferMs = plan.hops.reduce((sum, hop) => sum + hop.transferMs, 0);
  const summary = `${kind}: ${shownMs(plan.latencyMs)}, of which ${shownMs(computeMs)} computing and ${shownMs(transferMs)} transfers; ${shownBytes(plan.transferBytes)} moved`;
  return [
    text({ x: MARGIN.left, y: 34 }, printable(model, 60), { size: 20, bold: true }),
    text({ x: MARGIN.left, y: 56 }, summary, { size: 13, fill: "#444" }),
    ...legend(plan),
  ];
}

function legend({ partitions }: RankedPlan): string[] {
  const entries = [
    ...partitions.map(({ tier, node, computeMs }) => ({
      colour: COLOURS[tier],
      label: `${tier} ${printable(node, 24)} ${shownMs(computeMs)}`,
    })),
    { colour: TRANSFER_COLOUR, label: "transfer" },
  ];
  const shapes: string[] = [];
  let x = MARGIN.left;
  for (const { colour, label } of entries) {
    if (x + textWidth(label) + 20 > WIDTH - MARGIN.right) break;
    shapes.push(rect({ x, y: 72, width: 12, height: 12 }, colour));
    shapes.push(text({ x: x + 17, y: 82.5 }, label));
    x += textWidth(label) + 40;
  }
  return shapes;
}

interface Stage {
  ms: number;
  colour: string;
  textColour: string;
  label: string;
}

/** Computing and transfers in the order in which they happen. */
function stagesOf({ source, partitions, hops }: RankedPlan): Stage[] {
  const waiting = [...hops];
  const stages: Stage[] = [];
  let at = source;
  const pass = (): void => {
    const hop = waiting.shift();
    if (hop === undefined) return;
    stages.push({
      ms: hop.transferMs,
      colour: TRANSFER_COLOUR,
      textColour: "#fff",
      label: describeHop(hop),
    });
  };
  for (const { node, tier, computeMs, firstLayer, lastLayer } of partitions) {
    if (node !== at) pass();
    const label = `${printable(node, 24)}: layers ${firstLayer}–${lastLayer}, ${shownMs(computeMs)}`;
    stages.push({ ms: computeMs, colour: COLOURS[tier], textColour: TEXT_COLOURS[tier], label });
    at = node;
  }
  pass();
  return stages;
}

function timeline(plan: RankedPlan): string[] {
  const { x: left, y, width, height } = TIMELINE;
  const shapes: string[] = [];
  let elapsedMs = 0;
  for (const { ms, colour, textColour, label } of stagesOf(plan)) {
    const share = (value: number): number =>
      plan.latencyMs > 0 ? (value / plan.latencyMs) * width : 0;
    const x = left + share(elapsedMs);
    shapes.push(rect({ x, y, width: Math.max(share(ms), 0.75), height }, colour, label));
    if (textWidth(label, 11) + LABEL_GAP < share(ms)) {
      const middle = { x: x + share(ms) / 2, y: y + height / 2 + 4 };
      shapes.push(text(middle, label, { anchor: "middle", size: 11, fill: textColour }));
    }
    elapsedMs += ms;
  }
  for (const tick of niceTicks(plan.latencyMs, 8)) {
    if (tick > plan.latencyMs) continue;
    const x = left + (plan.latencyMs > 0 ? (tick / plan.latencyMs) * width : 0);
    shapes.push(line({ x1: x, y1: y + height, x2: x, y2: y + height + 4 }, "#666"));
    shapes.push(
      text({ x, y: y + height + 16 }, `${tick} ms`, { anchor: "middle", size: 10, fill: "#666" }),
    );
  }
  return shapes;
}

function blockChart(problem: PlanningProblem, plan: RankedPlan): string[] {
  const times = blockTimes(problem, plan);
  const ticks = niceTicks(Math.max(...times.map(({ ms }) => ms)), 4);
  const topMs = ticks.at(-1) ?? 0;
  const yOf = (ms: number): number => CHART.y + CHART.height * (1 - (topMs > 0 ? ms / topMs : 0));
  const step = CHART.width / times.length;
  const gap = step > 6 ? 1 : 0;
  const shapes = ticks.flatMap((tick) => [
    line({ x1: CHART.x, y1: yOf(tick), x2: CHART.x + CHART.width, y2: yOf(tick) }, GRID_COLOUR),
    text({ x: CHART.x - 8, y: yOf(tick) + 4 }, `${tick}`, {
      anchor: "end",
      size: 11,
      fill: "#666",
    }),
  ]);
  shapes.push(
    text({ x: CHART.x, y: CHART.y - 46 }, "ms of each block", { size: 11, fill: "#666" }),
  );
  for (const [index, { ms, tier, label }] of times.entries()) {
    const height = Math.max(CHART.y + CHART.height - yOf(ms), BAR_HEIGHT_MIN);
    const y = CHART.y + CHART.height - height;
    const x = CHART.x + index * step;
    shapes.push(rect({ x, y, width: Math.max(step - gap, 0.5), height }, COLOURS[tier], label));
  }
  for (const { firstBlock, lastBlock, tier } of plan.partitions) {
    const x = CHART.x + firstBlock * step;
    const width = (lastBlock - firstBlock + 1) * step;
    const y = CHART.y + CHART.height + 1;
    shapes.push(rect({ x, y, width, height: STRIP_HEIGHT }, COLOURS[tier]));
  }
  shapes.push(...layerAxis(problem, step), ...cutMarks(plan, step));
  return shapes;
}

interface BlockTime {
  ms: number;
  tier: Tier;
  label: string;
}

function blockTimes(problem: PlanningProblem, plan: RankedPlan): BlockTime[] {
  return problem.blocks.map(({ firstLayer, lastLayer }, block) => {
    const part = plan.partitions.find((one) => one.firstBlock <= block && block <= one.lastBlock);
    const node = problem.nodes.find(({ name }) => name === part?.node);
    const ms = node?.blockMs[block] ?? 0;
    const layers =
      firstLayer === lastLayer ? `layer ${firstLayer}` : `layers ${firstLayer}–${lastLayer}`;
    return {
      ms,
      tier: part?.tier ?? "device",
      label: `${layers} on ${printable(part?.node ?? "?", 24)}: ${shownMs(ms)}`,
    };
  });
}

/** Layer numbers under the blocks, as many as fit. */
function layerAxis({ blocks }: PlanningProblem, step: number): string[] {
  const every = Math.max(1, Math.ceil(44 / step));
  const y = CHART.y + CHART.height;
  const labels = blocks.flatMap(({ firstLayer }, block) =>
    block % every === 0
      ? [
          text({ x: CHART.x + (block + 0.5) * step, y: y + STRIP_HEIGHT + 14 }, `${firstLayer}`, {
            anchor: "middle",
            size: 11,
            fill: "#666",
          }),
        ]
      : [],
  );
  const caption = text(
    { x: CHART.x + CHART.width / 2, y: y + STRIP_HEIGHT + 34 },
    "first layer of the block",
    {
      anchor: "middle",
      size: 11,
      fill: "#666",
    },
  );
  return [
    line({ x1: CHART.x, y1: y, x2: CHART.x + CHART.width, y2: y }, "#666"),
    ...labels,
    caption,
  ];
}

/** A dashed line at each cut, and what crosses it; labels take turns on two lines. */
function cutMarks(plan: RankedPlan, step: number): string[] {
  return arrivals(plan).flatMap(({ partition, hop }, index) => {
    const x = CHART.x + partition.firstBlock * step;
    const label = describeHop(hop);
    const isRight = x + textWidth(label, 11) + LABEL_GAP > WIDTH - MARGIN.right;
    const y = CHART.y - 22 + (index % 2) * 14;
    return [
      line({ x1: x, y1: y + 3, x2: x, y2: CHART.y + CHART.height }, "#333", "4 3"),
      text({ x: isRight ? x - 4 : x + 4, y }, label, {
        anchor: isRight ? "end" : "start",
        size: 11,
        fill: "#333",
      }),
    ];
  });
}

/** The hop that brings data to each partition, for those that one comes to. */
function arrivals({
  source,
  partitions,
  hops,
}: RankedPlan): { partition: PlannedPartition; hop: PlannedHop }[] {
  const waiting = [...hops];
  let at = source;
  return partitions.flatMap((partition) => {
    const hop = partition.node === at ? undefined : waiting.shift();
    at = partition.node;
    return hop === undefined ? [] : [{ partition, hop }];
  });
}

function describeHop({ from, to, bytes, transferMs }: PlannedHop): string {
  return `${printable(from, 24)} → ${printable(to, 24)}: ${shownBytes(bytes)}, ${shownMs(transferMs)}`;
}

function shownMs(ms: number): string {
  return `${ms < 1 ? ms.toFixed(3) : ms < 100 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
}

function shownBytes(bytes: number): string {
  return bytes < 10_000 ? `${bytes} B` : `${(bytes / BYTES_PER_MEGABYTE).toFixed(2)} MB`;
}
