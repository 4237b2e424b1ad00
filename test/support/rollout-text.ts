import type { PlanDocument } from "../../src/protocol/index.js";
import { type Daemon, nodeName } from "./rollout-daemon.js";
import type { Node } from "./rollout-runtime.js";
import type { World } from "./rollout-world.js";

/** What makes no difference: whose state it is; with one pipeline, which one was sent last. */
const WITHOUT_MEANING = new Set(["node", "lastSent", "nonces"]);

/** Two nodes get the same text where they behave alike: what nonces are called is left out, for one. */
export function nodeText(node: Node): string {
  const nonces = new Map<unknown, number>();
  return JSON.stringify(node, (key, value: unknown) => {
    if (WITHOUT_MEANING.has(key)) return undefined;
    if (key === "nonce") {
      if (!nonces.has(value)) nonces.set(value, nonces.size);
      return nonces.get(value);
    }
    if (key === "loaded" || key === "draining" || key === "readyFor") {
      return [...(value as number[])].sort();
    }
    if (value instanceof Map || value instanceof Set) return [...(value as Iterable<unknown>)];
    const isPlan = typeof value === "object" && value !== null && "partitions" in value;
    return isPlan ? (value as PlanDocument).revision : value;
  });
}

export function daemonText({ rollout, inForce, newest, isIncomplete }: Daemon): string {
  const participants = [...(rollout?.participants ?? [])].sort();
  return JSON.stringify([
    [inForce, newest, isIncomplete],
    [rollout?.phase, rollout?.plan.revision, participants],
  ]);
}

export function worldText({ nodes, daemon }: World): string {
  return [...nodes.map(nodeText), daemonText(daemon)].join("\n");
}

/** The world in which the first two nodes have changed places. */
export function exchanged({ nodes, daemon, faults }: World): World {
  const [first, second, ...others] = nodes;
  if (first === undefined || second === undefined) return { nodes, daemon, faults };
  const renamed = (node: Node, index: number): Node =>
    node.session === undefined
      ? node
      : { ...node, session: { ...node.session, node: nodeName(index) } };
  return {
    nodes: [renamed(second, 0), renamed(first, 1), ...others],
    daemon: exchangedDaemon(daemon),
    faults,
  };
}

export function exchangedDaemon(daemon: Daemon): Daemon {
  const { rollout } = daemon;
  if (rollout === undefined) return daemon;
  const other = new Map([
    [nodeName(0), nodeName(1)],
    [nodeName(1), nodeName(0)],
  ]);
  const participants = new Map(
    [...rollout.participants].map(([name, state]) => [other.get(name) ?? name, state]),
  );
  return { ...daemon, rollout: { ...rollout, participants } };
}
