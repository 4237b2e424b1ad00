import type { LayerGraph, LayerTensor } from "./layer-graph.js";
import { FlowNetwork } from "./max-flow.js";
import type { Outline, Piece } from "./outline.js";

/** What decides which layers run behind one hop, all in whole ticks. */
export interface HopCosts {
  /** [layer]: running it in front of the hop; Infinity where it must not. */
  front: Float64Array;
  /** [layer]: running it behind the hop; Infinity where it must not. */
  behind: Float64Array;
  /** [tensor]: moving it over the hop. */
  move: Float64Array;
}

/** A piece whose first joint runs in front of the hop and whose last one behind it. */
export interface PieceProblem {
  graph: LayerGraph;
  outline: Outline;
  piece: Piece;
  costs: HopCosts;
}

export interface PieceCut {
  /** Layers between the joints that run behind the hop. */
  behind: readonly number[];
  /** Of the layers between the joints and of the tensors of the piece, in ticks. */
  cost: number;
}

const SOURCE = 0;
const SINK = 1;

/** More than all costs together, which are below 10^15 ticks; sums with it are still exact. */
const ENDLESS = 2 ** 52;

/**
 * The cheapest split of a piece, or undefined where none is below `bound`. A minimum cut: what is on
 * the source's side runs behind the hop.
 */
export function cutPiece(problem: PieceProblem, bound: number): PieceCut | undefined {
  const groups = groupLayers(problem);
  const { network, fixedTicks } = new SplitNetwork(problem, groups).build();
  const enough = Math.min(bound, ENDLESS);
  const cost = fixedTicks + network.maximize(SOURCE, SINK, enough - fixedTicks);
  if (cost >= enough) return undefined;
  const side = network.sourceSide(SOURCE);
  const behind: number[] = [];
  for (const [at, group] of groups.groupOf.entries()) {
    if (side[group] === 1) behind.push(problem.piece.from + 1 + at);
  }
  return { behind, cost };
}

/** Layers that are on the same side of a cheapest split, by the vertex that stands for them. */
interface Groups {
  /** One more than the last vertex. */
  end: number;
  /** [layer − first layer between the joints] */
  groupOf: Int32Array;
}

/**
 * Layers in a row are merged at the one place where a split between them is cheapest: where that is
 * does not depend on what lies at the row's ends.
 */
function groupLayers(problem: PieceProblem): Groups {
  const { from, to } = problem.piece;
  const start = from + 1;
  const groupOf = new Int32Array(to - start);
  let end = SINK + 1;
  for (let layer = start; layer < to; layer += 1) {
    if (groupOf[layer - start] !== 0) continue;
    const row = rowFrom(layer, problem);
    const split = cheapestSplit(row, problem);
    for (const [at, member] of row.entries()) {
      groupOf[member - start] = end;
      if (split === undefined || at === split || at === row.length - 1) end += 1;
    }
  }
  return { end, groupOf };
}

/** The row that begins with a layer, as far as it is in the piece. */
function rowFrom(layer: number, { graph, outline, piece }: PieceProblem): number[] {
  const row: number[] = [];
  for (let at: number | undefined = layer; at !== undefined && at < piece.to; ) {
    row.push(at);
    at = graph.tensors[outline.rowTensor[at] ?? -1]?.consumers[0];
  }
  return row;
}

/** The index in the row behind which a split is cheapest; undefined where nothing is to be merged. */
function cheapestSplit(
  row: readonly number[],
  { costs: { front, behind, move }, outline: { rowTensor } }: PieceProblem,
): number | undefined {
  if (row.length < 3) return undefined;
  let best: number | undefined;
  let bestTicks = Infinity;
  let ticks = 0;
  for (const [at, layer] of row.entries()) {
    const more = (front[layer] ?? 0) - (behind[layer] ?? 0);
    // A layer that must be on one side is left alone.
    if (!Number.isFinite(more)) return undefined;
    ticks += more;
    const splitTicks = ticks + (move[rowTensor[layer] ?? -1] ?? 0);
    if (at < row.length - 1 && splitTicks < bestTicks) {
      best = at;
      bestTicks = splitTicks;
    }
  }
  return best;
}

/** The minimum cut's network, without what is decided already. */
class SplitNetwork {
  readonly #problem: PieceProblem;
  readonly #groups: Groups;
  /** [vertex]: what it costs in front of the hop, and behind it. */
  readonly #front: Float64Array;
  readonly #behind: Float64Array;
  readonly #network: FlowNetwork;
  #vertexCount: number;
  #fixedTicks = 0;

  constructor(problem: PieceProblem, groups: Groups) {
    this.#problem = problem;
    this.#groups = groups;
    this.#front = new Float64Array(groups.end);
    this.#behind = new Float64Array(groups.end);
    this.#vertexCount = groups.end;
    this.#network = new FlowNetwork(groups.end + problem.piece.tensors.length);
  }

  build(): { network: FlowNetwork; fixedTicks: number } {
    const { graph, piece, costs } = this.#problem;
    for (let layer = piece.from + 1; layer < piece.to; layer += 1) {
      this.#payFront(this.#vertexOf(layer), costs.front[layer] ?? 0);
      this.#payBehind(this.#vertexOf(layer), costs.behind[layer] ?? 0);
    }
    for (const index of piece.tensors) {
      const tensor = graph.tensors[index];
      if (tensor !== undefined) this.#addTensor(tensor, costs.move[index] ?? 0);
    }
    for (let vertex = SINK + 1; vertex < this.#groups.end; vertex += 1) this.#choose(vertex);
    return { network: this.#network, fixedTicks: this.#fixedTicks };
  }

  #vertexOf(layer: number | null): number {
    const { from, to } = this.#problem.piece;
    if (layer === null || layer <= from) return SINK;
    return layer >= to ? SOURCE : (this.#groups.groupOf[layer - from - 1] ?? SINK);
  }

  /** A tensor crosses the hop where it is made in front and wanted behind. */
  #addTensor({ producer, consumers, isOutput }: LayerTensor, ticks: number): void {
    const maker = this.#vertexOf(producer);
    const readers = new Set(consumers.map((consumer) => this.#vertexOf(consumer)));
    readers.delete(maker);
    // Nothing runs in front of what it reads.
    const isOrdered = maker !== SINK;
    if (isOutput || readers.has(SOURCE)) {
      this.#payFront(maker, ticks);
      if (isOrdered) for (const reader of readers) this.#order(maker, reader);
      return;
    }
    const [only] = readers;
    if (only === undefined) return;
    if (readers.size === 1) {
      if (isOrdered) this.#network.connect(only, maker, { forth: ticks, back: ENDLESS });
      else this.#payBehind(only, ticks);
      return;
    }
    const crossing = this.#vertexCount;
    this.#vertexCount += 1;
    this.#network.connect(crossing, maker, { forth: ticks });
    for (const reader of readers) {
      this.#network.connect(reader, crossing, { forth: ENDLESS });
      if (isOrdered) this.#order(maker, reader);
    }
  }

  #order(maker: number, reader: number): void {
    if (reader !== SOURCE) this.#network.connect(maker, reader, { forth: ENDLESS });
  }

  #payFront(vertex: number, ticks: number): void {
    if (vertex === SINK) this.#fixedTicks += ticks;
    else this.#front[vertex] = (this.#front[vertex] ?? 0) + ticks;
  }

  #payBehind(vertex: number, ticks: number): void {
    this.#behind[vertex] = (this.#behind[vertex] ?? 0) + ticks;
  }

  /** Only the difference between a vertex's two sides needs an arc. */
  #choose(vertex: number): void {
    const front = this.#front[vertex] ?? 0;
    const behind = this.#behind[vertex] ?? 0;
    this.#fixedTicks += Math.min(front, behind);
    const ticks = Math.min(Math.abs(front - behind), ENDLESS);
    if (front > behind) this.#network.connect(SOURCE, vertex, { forth: ticks });
    else if (behind > front) this.#network.connect(vertex, SINK, { forth: ticks });
  }
}
