import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutChain } from "../../src/planner/dag/chain-cut.js";
import { cutHop } from "../../src/planner/dag/hop-cut.js";
import { outlineOf } from "../../src/planner/dag/outline.js";
import { connectLayers, type LayerGraph } from "../../src/planner/index.js";

const TICKS = fc.integer({ min: 0, max: 9 });

interface Part {
  /** Of each layer, how far back it reads: 1 is the layer before, or the part's input. */
  reads: number[][];
}

/** Parts with branches, each of which reads nothing but the last layer of the one before. */
const partsArbitrary: fc.Arbitrary<Part[]> = fc.array(
  fc.record({
    reads: fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 9,
    }),
  }),
  { minLength: 1, maxLength: 5 },
);

/** The last layer of every part gathers what nobody has read yet, unless the part is left open. */
function joined(parts: readonly Part[], isOpen: (part: number) => boolean): LayerGraph {
  const layers: { firstLayer: number; lastLayer: number; inputs: string[]; outputs: string[] }[] =
    [];
  const outputs: string[] = [];
  let input = "in";
  for (const [index, { reads }] of parts.entries()) {
    const names = [input];
    const unread = new Set<string>();
    const add = (inputs: string[]): void => {
      const name = `v${layers.length}`;
      for (const read of inputs) unread.delete(read);
      unread.add(name);
      names.push(name);
      layers.push({
        firstLayer: layers.length,
        lastLayer: layers.length,
        inputs,
        outputs: [name],
      });
    };
    for (const back of reads) add(back.map((far) => names[Math.max(0, names.length - far)]!));
    if (isOpen(index)) outputs.push(...unread);
    else add([...unread]);
    input = names.at(-1)!;
  }
  const bytes = new Map(
    ["in", ...layers.flatMap((layer) => layer.outputs)].map((name) => [name, 0]),
  );
  return connectLayers(layers, { inputs: ["in"], outputs: [...outputs, input], bytes });
}

interface Drawn {
  graph: LayerGraph;
  front: Float64Array;
  behind: Float64Array;
  move: Float64Array;
}

const drawn: fc.Arbitrary<Drawn> = fc
  .record({ parts: partsArbitrary, open: fc.array(fc.nat({ max: 5 }), { maxLength: 1 }) })
  .map(({ parts, open }) => joined(parts, (part) => open.includes(part)))
  .chain((graph) => {
    const ticks = (length: number): fc.Arbitrary<Float64Array> =>
      fc
        .array(TICKS, { minLength: length, maxLength: length })
        .map((all) => Float64Array.from(all));
    const barred = fc.array(fc.nat({ max: graph.layers.length - 1 }), { maxLength: 2 });
    return fc
      .record({
        front: ticks(graph.layers.length),
        behind: ticks(graph.layers.length),
        move: ticks(graph.tensors.length),
        barred: fc.record({ front: barred, behind: barred }),
      })
      .map(({ front, behind, move, barred: { front: notFront, behind: notBehind } }) => {
        for (const layer of notFront) front[layer] = Infinity;
        for (const layer of notBehind) if (front[layer] !== Infinity) behind[layer] = Infinity;
        return { graph, front, behind, move };
      });
  });

/** The best of the whole graph's network, which fills both sides, and of the two that fill one. */
function wholeCost({ graph, front, behind, move }: Drawn): number {
  const both = cutChain(graph, { run: [front, behind], move: [move] }, Infinity)?.cost ?? Infinity;
  const sum = (row: Float64Array): number => row.reduce((total, ticks) => total + ticks, 0);
  const moved = (isMoved: (tensor: LayerGraph["tensors"][number]) => boolean): number =>
    sum(move.map((ticks, index) => (isMoved(graph.tensors[index]!) ? ticks : 0)));
  const allFront = sum(front) + moved(({ isOutput }) => isOutput);
  const allBehind = sum(behind) + moved(({ producer }) => producer === null);
  return Math.min(both, allFront, allBehind);
}

describe("cutHop", () => {
  it("finds piece by piece what the network of the whole graph finds", () => {
    fc.assert(
      fc.property(drawn, (problem) => {
        const { graph, ...costs } = problem;
        const cut = cutHop(graph, outlineOf(graph), costs);
        expect(cut?.cost ?? Infinity).toBe(wholeCost(problem));
      }),
      { numRuns: 2_000 },
    );
  });

  it("gives sides that cost what it says, with nothing in front of what it reads", () => {
    fc.assert(
      fc.property(drawn, ({ graph, ...costs }) => {
        const cut = cutHop(graph, outlineOf(graph), costs);
        fc.pre(cut !== undefined);
        const { behind } = cut;
        let ticks = 0;
        for (const [layer, side] of behind.entries()) {
          ticks += (side === 1 ? costs.behind : costs.front)[layer]!;
        }
        for (const [index, { producer, consumers, isOutput }] of graph.tensors.entries()) {
          const made = producer === null ? 0 : behind[producer]!;
          const isWanted = isOutput || consumers.some((reader) => behind[reader] === 1);
          if (made === 0 && isWanted) ticks += costs.move[index]!;
          expect(consumers.every((reader) => behind[reader]! >= made)).toBe(true);
        }
        expect(ticks).toBe(cut.cost);
      }),
      { numRuns: 500 },
    );
  });
});

describe("outlineOf", () => {
  it("parts a graph at the layers that all else leads to or comes from", () => {
    const parts = [{ reads: [[1], [2]] }, { reads: [[1], [1]] }];
    const graph = joined(parts, () => false);
    expect(outlineOf(graph).pieces.map(({ from, to }) => [from, to])).toEqual([
      [-1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
    ]);
  });
});
