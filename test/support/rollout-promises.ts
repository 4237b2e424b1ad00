import { nodeName, type World } from "./rollout-world.js";

/** What is wrong with a world; undefined where nothing is. */
export function violation(world: World): string | undefined {
  const [source] = world.nodes;
  if (source === undefined || source.session === undefined || !source.client.isSynced) {
    return undefined;
  }
  for (const revision of [source.client.inForce, ...source.client.draining]) {
    for (const [index, ready] of world.ready.entries()) {
      const { client } = world.nodes[index]!;
      if (!ready.includes(revision) || client.loaded.includes(revision)) continue;
      return `requests begin on revision ${revision}, which ${nodeName(index)} was ready for and dropped`;
    }
  }
  return undefined;
}

/** What a world without further steps lacks to be quiet. */
export function unrest(world: World): string | undefined {
  if (world.rollout !== undefined) return `a rollout stays ${world.rollout.phase}`;
  for (const [index, { session, client }] of world.nodes.entries()) {
    if (session?.refused.get("camera")?.revision === world.inForce) continue;
    if (client.inForce !== world.inForce) {
      return `${nodeName(index)} stays on revision ${client.inForce}, not ${world.inForce}`;
    }
    const isRetired = client.loaded.every((revision) => revision >= world.inForce);
    if (!isRetired && !world.isIncomplete)
      return `${nodeName(index)} keeps ${client.loaded.join()}`;
    const future = client.loaded.filter((revision) => revision > world.inForce);
    if (future.length > 0) return `${nodeName(index)} keeps ${future.join()}, which was aborted`;
  }
  return undefined;
}
