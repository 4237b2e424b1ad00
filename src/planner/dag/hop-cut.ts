import type { LayerGraph } from "./layer-graph.js";
import type { Outline } from "./outline.js";
import { cutPiece, type HopCosts } from "./piece-cut.js";

export interface HopCut {
  /** [layer]: 1 behind the hop. */
  behind: Uint8Array;
  /** In ticks. */
  cost: number;
}

/**
 * The cheapest split of all layers at one hop, none in front of what it reads, or undefined where
 * there is none. The model's inputs are in front, its outputs are wanted behind; either side may be
 * empty.
 *
 * The split goes through exactly one piece of the graph: what is before that runs in front, what is
 * after it behind. So each piece that could be the best is solved on its own.
 */
export function cutHop(graph: LayerGraph, outline: Outline, costs: HopCosts): HopCut | undefined {
  const around = sumAround(graph, outline, costs);
  const candidates = outline.pieces
    .map((piece, index) => ({
      piece,
      aroundTicks: around[index] ?? 0,
      leastTicks: (around[index] ?? 0) + leastInside(costs, piece.from + 1, piece.to),
    }))
    .sort((a, b) => (a.leastTicks < b.leastTicks ? -1 : Number(a.leastTicks > b.leastTicks)));
  let cost = Infinity;
  let best: { to: number; behind: readonly number[] } | undefined;
  for (const { piece, aroundTicks, leastTicks } of candidates) {
    if (leastTicks >= cost) break;
    const cut = cutPiece({ graph, outline, piece, costs }, cost - aroundTicks);
    if (cut === undefined) continue;
    cost = aroundTicks + cut.cost;
    best = { to: piece.to, behind: cut.behind };
  }
  if (best === undefined) return undefined;
  const behind = new Uint8Array(graph.layers.length).fill(1, best.to);
  for (const layer of best.behind) behind[layer] = 1;
  return { behind, cost };
}

/** [piece]: running all before it in front and all after it behind, with the outputs made before. */
function sumAround(graph: LayerGraph, { pieces }: Outline, costs: HopCosts): Float64Array {
  const around = new Float64Array(pieces.length);
  let before = 0;
  for (const [index, { from, to, tensors }] of pieces.entries()) {
    before += costs.front[from] ?? 0;
    around[index] = before;
    for (let layer = from + 1; layer < to; layer += 1) before += costs.front[layer] ?? 0;
    for (const tensor of tensors) {
      if (graph.tensors[tensor]?.isOutput === true) before += costs.move[tensor] ?? 0;
    }
  }
  let after = 0;
  for (let index = pieces.length - 1; index >= 0; index -= 1) {
    const { from, to } = pieces[index] ?? { from: 0, to: 0 };
    after += costs.behind[to] ?? 0;
    around[index] = (around[index] ?? 0) + after;
    for (let layer = from + 1; layer < to; layer += 1) after += costs.behind[layer] ?? 0;
  }
  return around;
}

function leastInside({ front, behind }: HopCosts, start: number, end: number): number {
  let ticks = 0;
  for (let layer = start; layer < end; layer += 1) {
    ticks += Math.min(front[layer] ?? 0, behind[layer] ?? 0);
  }
  return ticks;
}
