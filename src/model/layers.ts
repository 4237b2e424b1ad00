import { AppError, printable } from "../core/index.js";
import type { NodeProto } from "./proto/onnx_pb.js";
import { tensorsReadBy } from "./scope.js";

/** A node of the model's main graph, in an order in which every tensor is computed before it is read. */
export interface Layer {
  index: number;
  /** May be empty; not unique. */
  name: string;
  domain: string;
  opType: string;
  /** Without repetitions and omitted inputs; with what its sub-graphs take from the main graph. */
  inputs: readonly string[];
  outputs: readonly string[];
}

const NAME_CHARACTERS_SHOWN = 80;

/** A name from a file as it may stand in a message: quoted, bounded, on one line. */
export function quoted(name: string): string {
  return printable(JSON.stringify(name.slice(0, NAME_CHARACTERS_SHOWN)));
}

/** How messages name a node of the file. */
export function describeNode(node: NodeProto, position: number): string {
  const name = node.name === undefined || node.name === "" ? "" : ` ${quoted(node.name)}`;
  return `node ${position} (${quoted(node.opType ?? "")}${name})`;
}

/**
 * Layers and their nodes: in file order where that is a topological order, else each node right
 * behind what it still lacked, so that the order of the file changes as little as it must.
 * @throws AppError MODEL_UNREADABLE naming the node: defined twice, never defined, a cycle
 */
export function orderLayers(
  nodes: readonly NodeProto[],
  given: ReadonlySet<string>,
): { layers: Layer[]; sorted: NodeProto[] } {
  const producers = findProducers(nodes, given);
  const reads = nodes.map((node) => [...tensorsReadBy(node)]);
  refuseUndefined(nodes, reads, (name) => producers.has(name) || given.has(name));
  const order = topologicalOrder(nodes, (position) =>
    (reads[position] ?? []).flatMap((name) => producers.get(name) ?? []),
  );
  const sorted: NodeProto[] = [];
  const layers = order.map((position, index): Layer => {
    const node = nodes[position];
    if (node === undefined) throw new AppError("INTERNAL", "a sorted node does not exist");
    sorted.push(node);
    return {
      index,
      name: node.name ?? "",
      domain: node.domain ?? "",
      opType: node.opType ?? "",
      inputs: reads[position] ?? [],
      outputs: node.output.filter((name) => name !== ""),
    };
  });
  return { layers, sorted };
}

function findProducers(
  nodes: readonly NodeProto[],
  given: ReadonlySet<string>,
): Map<string, number> {
  const producers = new Map<string, number>();
  for (const [position, node] of nodes.entries()) {
    for (const name of node.output) {
      if (name === "") continue;
      if (producers.has(name) || given.has(name)) {
        throw invalid(`${describeNode(node, position)} defines ${quoted(name)} a second time`);
      }
      producers.set(name, position);
    }
  }
  return producers;
}

function refuseUndefined(
  nodes: readonly NodeProto[],
  reads: readonly (readonly string[])[],
  isDefined: (name: string) => boolean,
): void {
  for (const [position, node] of nodes.entries()) {
    const unknown = reads[position]?.find((name) => !isDefined(name));
    if (unknown !== undefined) {
      throw invalid(
        `${describeNode(node, position)} reads ${quoted(unknown)}, which nothing defines`,
      );
    }
  }
}

/** Depth first with a stack of its own: a chain of 100 000 nodes must not exhaust the program's. */
function topologicalOrder(
  nodes: readonly NodeProto[],
  sourcesOf: (position: number) => readonly number[],
): number[] {
  const order: number[] = [];
  const states = new Uint8Array(nodes.length); // 0 untouched, 1 waits for its sources, 2 placed
  for (const start of nodes.keys()) {
    const stack =
      states[start] === 0 ? [{ position: start, pending: sourcesOf(start).values() }] : [];
    states[start] ||= 1;
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const next = top.pending.next();
      if (next.done === true) {
        stack.pop();
        states[top.position] = 2;
        order.push(top.position);
      } else if (states[next.value] === 0) {
        states[next.value] = 1;
        stack.push({ position: next.value, pending: sourcesOf(next.value).values() });
      } else if (states[next.value] === 1) {
        const node = nodes[next.value];
        const culprit = node === undefined ? "a node" : describeNode(node, next.value);
        throw invalid(`${culprit} needs its own result: the graph has a cycle`);
      }
    }
  }
  return order;
}

export function invalid(what: string): AppError {
  return new AppError("MODEL_UNREADABLE", `the model is invalid: ${what}`);
}
