import type { LayerGraph } from "./layer-graph.js";
import { FlowNetwork } from "./max-flow.js";

/** A chain of nodes that a model is spread over, with all costs in whole ticks. */
export interface ChainCosts {
  /** [stage][layer]; Infinity where the layer must not run at the stage. */
  run: readonly Float64Array[];
  /** [hop][tensor]: moving the tensor from stage `hop` to the next. */
  move: readonly Float64Array[];
}

export interface ChainCut {
  /** The stage of each layer. */
  stages: Uint8Array;
  /** In ticks. */
  cost: number;
}

const SOURCE = 0;
const SINK = 1;

/**
 * The cheapest stages for all layers, such that none runs at an earlier stage than what it reads, or
 * undefined where there are none below `bound`. A tensor is moved once along every hop between its
 * producer and the furthest stage that reads it; the model's inputs begin at the first stage, its
 * outputs are wanted at the last. Every stage runs at least one layer.
 *
 * A minimum cut: vertex (layer, hop) lies on the source's side when the layer runs behind the hop.
 */
export function cutChain(
  graph: LayerGraph,
  costs: ChainCosts,
  bound: number,
): ChainCut | undefined {
  if (costs.move.length === 0) {
    const cost = (costs.run[0] ?? new Float64Array()).reduce((sum, ticks) => sum + ticks, 0);
    return cost < bound ? { stages: new Uint8Array(graph.layers.length), cost } : undefined;
  }
  const cut = new CutNetwork(graph, costs);
  return cut.solve(0, Math.min(bound, cut.endless));
}

class CutNetwork {
  readonly endless: number;
  readonly #graph: LayerGraph;
  readonly #hops: number;
  readonly #network: FlowNetwork;
  /** [layer × stages + stage]: the arc that is cut when the layer runs at the stage. */
  readonly #running: Int32Array;

  constructor(graph: LayerGraph, costs: ChainCosts) {
    this.#graph = graph;
    this.#hops = costs.move.length;
    this.endless = endlessCapacity(costs);
    const vertices = 2 + this.#hops * (graph.layers.length + graph.tensors.length);
    this.#network = new FlowNetwork(vertices);
    this.#running = new Int32Array(graph.layers.length * (this.#hops + 1));
    for (let layer = 0; layer < graph.layers.length; layer += 1) this.#addLayer(layer, costs);
    for (let hop = 0; hop < this.#hops; hop += 1) {
      for (let tensor = 0; tensor < graph.tensors.length; tensor += 1) {
        this.#addTensor(tensor, hop, costs.move[hop]?.[tensor] ?? 0);
      }
    }
  }

  /**
   * Goes on from what flows already, which is `paid`. Where the best cut leaves a stage empty, each
   * layer that could fill it is forced there in turn.
   */
  solve(paid: number, bound: number): ChainCut | undefined {
    const cost = paid + this.#network.maximize(SOURCE, SINK, bound - paid);
    if (cost >= bound) return undefined;
    const stages = this.#stages();
    const empty = this.#emptyStage(stages);
    if (empty === undefined) return { stages, cost };
    const residue = this.#network.residue();
    let best: ChainCut | undefined;
    for (const layer of this.#candidates(empty)) {
      this.#network.restore(residue);
      this.#force(layer, empty);
      best = this.solve(cost, best?.cost ?? bound) ?? best;
    }
    return best;
  }

  #addLayer(layer: number, { run }: ChainCosts): void {
    for (let stage = 0; stage <= this.#hops; stage += 1) {
      const from = stage === 0 ? SOURCE : this.#layerAt(layer, stage - 1);
      const to = stage === this.#hops ? SINK : this.#layerAt(layer, stage);
      // Whatever runs behind a later hop runs behind the earlier ones as well.
      const isInner = stage > 0 && stage < this.#hops;
      this.#running[layer * (this.#hops + 1) + stage] = this.#network.connect(from, to, {
        forth: Math.min(run[stage]?.[layer] ?? 0, this.endless),
        back: isInner ? this.endless : 0,
      });
    }
  }

  #addTensor(index: number, hop: number, price: number): void {
    const tensor = this.#graph.tensors[index];
    if (tensor === undefined) return;
    const network = this.#network;
    const endless = { forth: this.endless };
    const crossing = this.#tensorAt(index, hop);
    const producer = tensor.producer === null ? SINK : this.#layerAt(tensor.producer, hop);
    network.connect(crossing, producer, { forth: Math.min(price, this.endless) });
    if (tensor.isOutput) network.connect(SOURCE, crossing, endless);
    for (const consumer of tensor.consumers) {
      const reader = this.#layerAt(consumer, hop);
      network.connect(reader, crossing, endless);
      // Nothing runs in front of what it reads.
      if (tensor.producer !== null) network.connect(producer, reader, endless);
    }
  }

  #layerAt(layer: number, hop: number): number {
    return 2 + hop * this.#graph.layers.length + layer;
  }

  #tensorAt(tensor: number, hop: number): number {
    const { layers, tensors } = this.#graph;
    return 2 + this.#hops * layers.length + hop * tensors.length + tensor;
  }

  #stages(): Uint8Array {
    const side = this.#network.sourceSide(SOURCE);
    return Uint8Array.from(this.#graph.layers, (_, layer) => {
      let stage = 0;
      for (let hop = 0; hop < this.#hops; hop += 1) stage += side[this.#layerAt(layer, hop)] ?? 0;
      return stage;
    });
  }

  #emptyStage(stages: Uint8Array): number | undefined {
    for (let stage = this.#hops; stage >= 0; stage -= 1) {
      if (!stages.includes(stage)) return stage;
    }
    return undefined;
  }

  /**
   * Layers of which at least one runs at the stage if anything does: at the first stage one that reads
   * no other, at the last one that no other reads.
   */
  #candidates(stage: number): number[] {
    const { layers, tensors } = this.#graph;
    const linked = new Set<number | null>();
    for (const { producer, consumers } of tensors) {
      if (producer === null || consumers.length === 0) continue;
      if (stage === 0) for (const consumer of consumers) linked.add(consumer);
      else if (stage === this.#hops) linked.add(producer);
    }
    return layers.map((_, layer) => layer).filter((layer) => !linked.has(layer));
  }

  #force(layer: number, wanted: number): void {
    for (let stage = 0; stage <= this.#hops; stage += 1) {
      const arc = this.#running[layer * (this.#hops + 1) + stage];
      if (stage !== wanted && arc !== undefined) this.#network.setCapacity(arc, this.endless);
    }
  }
}

/** More than any cut costs that needs no arc with this capacity. */
function endlessCapacity({ run, move }: ChainCosts): number {
  const sumOf = (rows: readonly Float64Array[]): number =>
    rows.reduce(
      (sum, row) => row.reduce((total, ticks) => total + (ticks === Infinity ? 0 : ticks), sum),
      0,
    );
  return 1 + sumOf(run) + sumOf(move);
}
