import { addSample, type Estimate } from "../drift/index.js";
import type { LinkReport, NodeState, Profile } from "../protocol/index.js";

/** A rate of 0 has no finite cost; anything slower than this counts as this slow. */
const BANDWIDTH_MBPS_MIN = 0.01;
/** A remembered value gives way to the first sample that is measured. */
const REMEMBERED_WEIGHT = 1e-9;
const NODES_MAX = 10_000;
const LINKS_MAX = 100_000;

export interface LinkView {
  from: string;
  to: string;
  /** Null: not measured yet. */
  rttMs: number | null;
  secondsPerMegabit: number | null;
  lossPercent: number | null;
  /** Nothing passes: planned around. */
  isDown: boolean;
  /** Monotonic time of the newest sample; null for a value remembered from before a restart. */
  seenAtMs: number | null;
}

interface LinkState {
  from: string;
  to: string;
  rtt: Estimate | undefined;
  secondsPerMegabit: Estimate | undefined;
  lossPercent: number | null;
  isDown: boolean;
  seenAtMs: number | null;
}

/** A link's smoothed values, kept over restarts. */
export interface RememberedLink {
  from: string;
  to: string;
  rttMs: number | null;
  secondsPerMegabit: number | null;
}

/**
 * The newest of everything that was heard: nodes, links, profiles. Recording never plans anything;
 * the reconciler reads. Times are monotonic milliseconds.
 */
export class Context {
  readonly #nodes = new Map<string, NodeState>();
  readonly #links = new Map<string, LinkState>();
  readonly #profiles = new Map<string, Profile>();

  recordNode(state: NodeState): void {
    if (this.#nodes.size >= NODES_MAX && !this.#nodes.has(state.node)) return;
    this.#nodes.set(state.node, state);
  }

  recordLink(
    path: { from: string; to: string },
    report: LinkReport,
    time: { nowMs: number; halfLifeMs: number },
  ): void {
    const key = linkKey(path);
    if (this.#links.size >= LINKS_MAX && !this.#links.has(key)) return;
    const old = this.#links.get(key);
    const sample = (estimate: Estimate | undefined, value: number | undefined) =>
      value === undefined
        ? estimate
        : addSample(estimate, { value, atMs: time.nowMs }, time.halfLifeMs);
    const { rttMs, bandwidthMbps, lossPercent } = report;
    this.#links.set(key, {
      from: path.from,
      to: path.to,
      rtt: sample(old?.rtt, rttMs),
      secondsPerMegabit: sample(
        old?.secondsPerMegabit,
        bandwidthMbps === undefined ? undefined : 1 / Math.max(bandwidthMbps, BANDWIDTH_MBPS_MIN),
      ),
      lossPercent: lossPercent ?? old?.lossPercent ?? null,
      isDown: lossPercent === 100 || bandwidthMbps === 0,
      seenAtMs: time.nowMs,
    });
  }

  /** Values of before a restart: used until the first sample arrives, never a reason for drift. */
  rememberLinks(links: readonly RememberedLink[], nowMs: number): void {
    const estimate = (mean: number | null): Estimate | undefined =>
      mean === null ? undefined : { mean, weight: REMEMBERED_WEIGHT, atMs: nowMs };
    for (const link of links) {
      this.#links.set(linkKey(link), {
        from: link.from,
        to: link.to,
        rtt: estimate(link.rttMs),
        secondsPerMegabit: estimate(link.secondsPerMegabit),
        lossPercent: null,
        isDown: false,
        seenAtMs: null,
      });
    }
  }

  rememberableLinks(): RememberedLink[] {
    return this.links().map(({ from, to, rttMs, secondsPerMegabit }) => ({
      from,
      to,
      rttMs,
      secondsPerMegabit,
    }));
  }

  recordProfile(profile: Profile): void {
    this.#profiles.set(profileKey(profile.model.sha256, profile.node.name), profile);
  }

  node(name: string): NodeState | undefined {
    return this.#nodes.get(name);
  }

  nodes(): NodeState[] {
    return [...this.#nodes.values()];
  }

  isOnline(name: string): boolean {
    return this.#nodes.get(name)?.status === "online";
  }

  links(): LinkView[] {
    return [...this.#links.values()].map((link) => ({
      from: link.from,
      to: link.to,
      rttMs: link.rtt?.mean ?? null,
      secondsPerMegabit: link.secondsPerMegabit?.mean ?? null,
      lossPercent: link.lossPercent,
      isDown: link.isDown,
      seenAtMs: link.seenAtMs,
    }));
  }

  profiles(): Profile[] {
    return [...this.#profiles.values()];
  }

  /** The profile that was measured on this very node. */
  ownProfile(modelSha256: string, node: string): Profile | undefined {
    return this.#profiles.get(profileKey(modelSha256, node));
  }

  /** The node's own profile, else one of another node of its hardware class and emulated speed. */
  profileFor(modelSha256: string, node: NodeState): Profile | undefined {
    const own = this.ownProfile(modelSha256, node.node);
    if (own !== undefined) return own;
    return this.profiles().find(
      (profile) =>
        profile.model.sha256 === modelSha256 &&
        profile.node.hardwareClass === node.hardwareClass &&
        profile.environment.emulatedSlowdown === node.emulatedSlowdown,
    );
  }
}

function linkKey(path: { from: string; to: string }): string {
  return `${path.from} ${path.to}`;
}

function profileKey(modelSha256: string, node: string): string {
  return `${modelSha256} ${node}`;
}
