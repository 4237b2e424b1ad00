import { printable } from "../core/index.js";
import { linkKey } from "../drift/index.js";
import { niceTicks, svgLine, svgRect, svgText } from "../planner/index.js";
import type { ReplayDecision } from "./decisions.js";
import type { Scene } from "./scene.js";
import type { Course, Replay } from "./simulate.js";

const WIDTH = 1_100;
const HEIGHT = 560;
const LEFT = 80;
const RIGHT = 30;
const BANDWIDTH_PANEL = { y: 90, height: 140 };
const LATENCY_PANEL = { y: 280, height: 180 };
const STRIP = { y: 480, height: 18 };
const TICKS = 4;
const SECONDS_TICKS = 10;
/** Told apart by colour-blind people too (Okabe and Ito). */
const COLOURS = { bandwidth: "#0072b2", adaptive: "#d55e00", oracle: "#009e73", mark: "#8a8a8a" };
const PLAN_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const GRID_COLOUR = "#dddddd";

/**
 * A replay as an SVG picture: the bandwidth of the link that varied most, the latency of each second
 * under the policy and under the oracle, the plan in force, and where revisions were published.
 */
export function timelineChart(
  scene: Scene,
  replay: Replay,
  { title, decisions }: { title: string; decisions: readonly ReplayDecision[] },
): string {
  const seconds = replay.moments.length;
  const xOf = (second: number): number => LEFT + (second / seconds) * (WIDTH - LEFT - RIGHT);
  const { label, values } = variedLink(scene, replay);
  const latencies = {
    adaptive: latenciesOf(replay, replay.adaptive),
    oracle: latenciesOf(replay, replay.oracle),
  };
  const published = decisions.filter(({ verdict }) => verdict === "published");
  const parts = [
    svgRect({ x: 0, y: 0, width: WIDTH, height: HEIGHT }, "#ffffff"),
    svgText({ x: LEFT, y: 34 }, printable(title, 80), { size: 20, bold: true }),
    svgText({ x: LEFT, y: 56 }, summaryOf(replay), { size: 13, fill: "#444" }),
    ...published.map(({ second }) =>
      svgLine(
        { x1: xOf(second), y1: BANDWIDTH_PANEL.y, x2: xOf(second), y2: STRIP.y },
        COLOURS.mark,
        "2 3",
      ),
    ),
    ...panel(`bandwidth ${label}, Mbps`, BANDWIDTH_PANEL, {
      curves: [{ values, colour: COLOURS.bandwidth }],
      xOf,
    }),
    ...panel("latency, ms: policy (orange), oracle (green)", LATENCY_PANEL, {
      curves: [
        { values: latencies.oracle, colour: COLOURS.oracle },
        { values: latencies.adaptive, colour: COLOURS.adaptive },
      ],
      xOf,
    }),
    ...planStrip(replay, xOf),
    ...niceTicks(seconds, SECONDS_TICKS)
      .filter((second) => second <= seconds)
      .map((second) =>
        svgText({ x: xOf(second), y: STRIP.y + 36 }, `${second} s`, { anchor: "middle" }),
      ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif">\n${parts.join("\n")}\n</svg>\n`;
}

function summaryOf({ adaptive, bestStatic, tracker, oracle }: Replay): string {
  const told = [
    ["policy", adaptive],
    ["tracker", tracker],
    ["best static", bestStatic],
    ["oracle", oracle],
  ] as const;
  return told
    .map(
      ([name, { meanLatencyMs, switches }]) =>
        `${name} ${meanLatencyMs.toFixed(0)} ms, ${switches} switches`,
    )
    .join(" · ");
}

function latenciesOf({ latenciesMs }: Replay, { plans }: Course): number[] {
  return plans.map((plan, second) => latenciesMs[second]?.[plan] ?? 0);
}

/** The link whose bandwidth is spread widest. */
function variedLink(
  { problem }: Scene,
  { moments }: Replay,
): { label: string; values: readonly number[] } {
  const links = problem.links.map((link) => {
    const values = moments.map((moment) => moment.links.get(linkKey(link))?.bandwidthMbps ?? 0);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const spread = values.reduce((sum, value) => sum + Math.abs(value - mean), 0);
    return { label: printable(`${link.from} → ${link.to}`, 60), values, spread };
  });
  const [widest] = links.sort((a, b) => b.spread - a.spread);
  return widest ?? { label: "", values: [] };
}

interface Curve {
  values: readonly number[];
  colour: string;
}

/** Steps over seconds, on a scale from zero to the largest value. */
function panel(
  title: string,
  { y, height }: { y: number; height: number },
  { curves, xOf }: { curves: readonly Curve[]; xOf: (second: number) => number },
): string[] {
  const largest = curves.reduce(
    (most, { values }) => values.reduce((a, b) => Math.max(a, b), most),
    0,
  );
  const ticks = niceTicks(largest, TICKS);
  const top = ticks.at(-1) ?? 1;
  const yOf = (value: number): number => y + height - (top === 0 ? 0 : value / top) * height;
  const grid = ticks.flatMap((tick) => [
    svgLine({ x1: LEFT, y1: yOf(tick), x2: WIDTH - RIGHT, y2: yOf(tick) }, GRID_COLOUR),
    svgText({ x: LEFT - 8, y: yOf(tick) + 4 }, String(tick), { anchor: "end" }),
  ]);
  const steps = curves.map(({ values, colour }) => {
    const points = values.flatMap((value, second) => [
      `${xOf(second).toFixed(1)},${yOf(value).toFixed(1)}`,
      `${xOf(second + 1).toFixed(1)},${yOf(value).toFixed(1)}`,
    ]);
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.5"/>`;
  });
  return [svgText({ x: LEFT, y: y - 8 }, title, { bold: true }), ...grid, ...steps];
}

/** The plan in force, in a colour of its own. */
function planStrip({ adaptive, plans }: Replay, xOf: (second: number) => number): string[] {
  const strips: string[] = [];
  let since = 0;
  for (let second = 1; second <= adaptive.plans.length; second += 1) {
    const plan = adaptive.plans[since] ?? 0;
    if (second < adaptive.plans.length && adaptive.plans[second] === plan) continue;
    const box = { ...STRIP, x: xOf(since), width: xOf(second) - xOf(since) };
    const title = (plans[plan]?.partitions ?? [])
      .map(({ node, firstLayer, lastLayer }) => `${printable(node, 40)} ${firstLayer}–${lastLayer}`)
      .join(" → ");
    strips.push(svgRect(box, PLAN_COLOURS[plan % PLAN_COLOURS.length] ?? "#888888", title));
    since = second;
  }
  return [svgText({ x: LEFT - 8, y: STRIP.y + 14 }, "plan", { anchor: "end" }), ...strips];
}
