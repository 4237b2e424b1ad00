import { type Daemon, nodeName, permanent } from "./rollout-daemon.js";
import type { Node } from "./rollout-runtime.js";

interface State {
  daemon: Daemon;
  nodes: readonly Node[];
}

/** Revisions on which requests may begin at this node. */
export function begunOn({ session, client }: Node): readonly number[] {
  if (session === undefined || !client.isSynced) return [];
  return [client.inForce, ...client.draining];
}

/** Revisions that the node was ready for and cannot serve any more. */
export function dropped({ readyFor, client }: Node): readonly number[] {
  return readyFor.filter((revision) => !client.loaded.includes(revision));
}

/** What is wrong with a world; undefined where nothing is. */
export function violation({ nodes }: State): string | undefined {
  const begun = new Set(nodes.slice(0, permanent(nodes.length)).flatMap(begunOn));
  for (const [index, node] of nodes.entries()) {
    const revision = dropped(node).find((each) => begun.has(each));
    if (revision === undefined) continue;
    return `requests begin on revision ${revision}, which ${nodeName(index)} was ready for and dropped`;
  }
  return undefined;
}

/** Beyond the point of no return every participant has loaded what it will be told to switch to. */
export function refuseUnready(before: Daemon, { daemon: { rollout }, nodes }: State): void {
  if (before.rollout?.phase !== "preparing" || rollout?.phase !== "committing") return;
  const { revision } = rollout.plan;
  for (const [index, { client }] of nodes.entries()) {
    const isParticipant = rollout.participants.has(nodeName(index));
    if (!isParticipant || client.loaded.includes(revision)) continue;
    throw new Error(`${nodeName(index)} is not ready for revision ${revision}`);
  }
}

/** What a world that only a fault can move lacks to be quiet. */
export function unrest({ daemon, nodes }: State): string | undefined {
  if (daemon.rollout !== undefined) return `a rollout stays ${daemon.rollout.phase}`;
  for (const [index, node] of nodes.entries()) {
    const problem = unrestOf(node, daemon);
    if (problem !== undefined) return `${nodeName(index)} ${problem}`;
  }
  return undefined;
}

export function unrestOf(
  { session, client }: Node,
  { inForce, isIncomplete }: Pick<Daemon, "inForce" | "isIncomplete">,
): string | undefined {
  if (session?.refused.get("camera")?.revision === inForce) return undefined;
  if (client.inForce !== inForce) return `stays on revision ${client.inForce}, not ${inForce}`;
  const isRetired = client.loaded.every((revision) => revision >= inForce);
  if (!isRetired && !isIncomplete) return `keeps ${client.loaded.join()}`;
  const future = client.loaded.filter((revision) => revision > inForce);
  return future.length > 0 ? `keeps ${future.join()}, which was aborted` : undefined;
}
