import type { PlanDocument, Tier } from "../protocol/index.js";

/** The emulated links of the demo, in the direction that data flows. */
export const LINK_NAMES = ["cam-1 → edge-1", "cam-1 → gpu-1", "edge-1 → gpu-1"] as const;
export type LinkName = (typeof LINK_NAMES)[number];

export interface LinkSpeed {
  rttMs: number;
  bandwidthMbps: number;
}

/** What happens at the start of a step. */
export type Change =
  | { kind: "links"; links: Partial<Record<LinkName, LinkSpeed>> }
  | { kind: "cloud-vanishes" }
  | { kind: "cloud-returns" };

export interface Step {
  title: string;
  change: Change;
  /** In words, and as a test of the plan: what an expert would expect of the re-plan. */
  expectation: string;
  expects: (plan: PlanDocument) => boolean;
}

/** Device, edge and cloud. */
export type NodeName = "cam-1" | "edge-1" | "gpu-1";

/** The links at the start. */
export const GOOD_LINKS: Record<LinkName, LinkSpeed> = {
  "cam-1 → edge-1": { rttMs: 4, bandwidthMbps: 150 },
  "cam-1 → gpu-1": { rttMs: 30, bandwidthMbps: 40 },
  "edge-1 → gpu-1": { rttMs: 12, bandwidthMbps: 300 },
};

const POOR: Pick<Record<LinkName, LinkSpeed>, "cam-1 → edge-1" | "cam-1 → gpu-1"> = {
  "cam-1 → edge-1": { rttMs: 60, bandwidthMbps: 0.4 },
  "cam-1 → gpu-1": { rttMs: 90, bandwidthMbps: 0.3 },
};

/** The demo's story. Every step changes the best plan by a wide margin, whatever this machine is. */
export const STEPS: readonly Step[] = [
  {
    title: "All three tiers are up, the network is good",
    change: { kind: "links", links: GOOD_LINKS },
    expectation: "most of the network runs in the cloud",
    expects: (plan) => uses(plan, "cloud"),
  },
  {
    title: "The camera's radio link degrades",
    change: { kind: "links", links: POOR },
    expectation: "nothing worth sending: the device computes alone",
    expects: (plan) => isNative(plan, "device"),
  },
  {
    title: "The radio link recovers",
    change: { kind: "links", links: GOOD_LINKS },
    expectation: "back to the cloud",
    expects: (plan) => uses(plan, "cloud"),
  },
  {
    title: "The cloud vanishes",
    change: { kind: "cloud-vanishes" },
    expectation: "the edge node takes over",
    expects: (plan) => !uses(plan, "cloud") && uses(plan, "edge"),
  },
  {
    title: "The cloud returns",
    change: { kind: "cloud-returns" },
    expectation: "back to the cloud",
    expects: (plan) => uses(plan, "cloud"),
  },
];

function uses(plan: PlanDocument, tier: Tier): boolean {
  return plan.partitions.some((partition) => partition.tier === tier);
}

function isNative(plan: PlanDocument, tier: Tier): boolean {
  return plan.partitions.every((partition) => partition.tier === tier);
}
