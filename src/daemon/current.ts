import type { Environment, NodeState, Profile } from "../protocol/index.js";

/** Whether the profile was measured in what the node is now; a node that does not tell is believed. */
export function isCurrent(profile: Profile, state: NodeState): boolean {
  const { environment, emulatedSlowdown } = state;
  if (profile.environment.emulatedSlowdown !== emulatedSlowdown) return false;
  if (environment === undefined) return true;
  const isOwn = profile.node.name === state.node;
  return (Object.keys(environment) as (keyof Omit<Environment, "emulatedSlowdown">)[]).every(
    (key) => {
      // Processors that the user calls one class may still differ in name.
      if (key === "cpuModel" && !isOwn) return true;
      return profile.environment[key] === environment[key];
    },
  );
}
