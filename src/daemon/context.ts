import {
  addSample,
  type Estimate,
  type HeardLink,
  hearLink,
  type LinkSample,
  withSample,
} from "../drift/index.js";
import type { LinkReport, NodeState, Profile } from "../protocol/index.js";
import { isCurrent } from "./current.js";

/** A remembered value gives way to the first sample that is measured. */
const REMEMBERED_WEIGHT = 1e-9;
const NODES_MAX = 10_000;
const LINKS_MAX = 100_000;
/** Links with an end that nobody has heard of: made-up names must not fill memory and state file. */
const STRANGE_LINKS_MAX = 256;

export interface LinkView {
  from: string;
  to: string;
  /** Null: not measured yet. */
  rttMs: number | null;
  secondsPerMegabit: number | null;
  jitterMs: number | null;
  lossPercent: number | null;
  /** Nothing passes at present. */
  isDown: boolean;
  /** Monotonic time of the newest sample; null for a value remembered from before a restart. */
  seenAtMs: number | null;
  /** Since both round trip and bandwidth are known; in order of time. */
  samples: readonly LinkSample[];
}

interface LinkState {
  from: string;
  to: string;
  rtt: Estimate | undefined;
  secondsPerMegabit: Estimate | undefined;
  jitterMs: number | null;
  lossPercent: number | null;
  isDown: boolean;
  seenAtMs: number | null;
  /** What its sources say, as it was measured. */
  heard: HeardLink;
  samples: readonly LinkSample[];
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
  /** By the node's state and the model: looked for at every look of the planner, changed seldom. */
  #chosen = new WeakMap<NodeState, Map<string, Profile | undefined>>();

  recordNode(state: NodeState): void {
    if (this.#nodes.size >= NODES_MAX && !this.#nodes.has(state.node)) return;
    this.#nodes.set(state.node, state);
  }

  /** `sourceWeight` is how much the report's source counts beside others of the link. */
  recordLink(
    path: { from: string; to: string },
    report: LinkReport,
    time: { nowMs: number; halfLifeMs: number; sourceWeight?: number },
  ): void {
    const key = linkKey(path);
    const old = this.#links.get(key);
    if (old === undefined) this.#makeRoomFor(path);
    if (old === undefined && this.#links.size >= LINKS_MAX) return;
    const { heard, news, isDown, quality } = hearLink(old?.heard, report, {
      weight: time.sourceWeight ?? 1,
      atMs: time.nowMs,
    });
    const sample = (estimate: Estimate | undefined, value: number | undefined) =>
      value === undefined
        ? estimate
        : addSample(estimate, { value, atMs: time.nowMs }, time.halfLifeMs);
    const samples = old?.samples ?? [];
    this.#links.set(key, {
      from: path.from,
      to: path.to,
      rtt: sample(old?.rtt, news.rttMs),
      secondsPerMegabit: sample(
        old?.secondsPerMegabit,
        news.bandwidthMbps === undefined ? undefined : 1 / news.bandwidthMbps,
      ),
      jitterMs: report.jitterMs ?? old?.jitterMs ?? null,
      lossPercent: news.lossPercent ?? old?.lossPercent ?? null,
      isDown,
      seenAtMs: Math.max(time.nowMs, old?.seenAtMs ?? Number.NEGATIVE_INFINITY),
      heard,
      samples:
        quality === undefined ? samples : withSample(samples, { atMs: time.nowMs, ...quality }),
    });
  }

  /** The longest unseen of the strange links gives way to a further one. */
  #makeRoomFor(path: { from: string; to: string }): void {
    const isStrange = ({ from, to }: { from: string; to: string }): boolean =>
      !this.#nodes.has(from) || !this.#nodes.has(to);
    if (!isStrange(path)) return;
    const strange = [...this.#links.values()].filter(isStrange);
    if (strange.length < STRANGE_LINKS_MAX) return;
    const seen = (link: LinkState): number => link.seenAtMs ?? Number.NEGATIVE_INFINITY;
    const oldest = strange.reduce((one, other) => (seen(other) < seen(one) ? other : one));
    this.#links.delete(linkKey(oldest));
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
        jitterMs: null,
        lossPercent: null,
        isDown: false,
        seenAtMs: null,
        heard: {
          readings: [],
          rttMs: link.rttMs,
          bandwidthMbps: link.secondsPerMegabit === null ? null : 1 / link.secondsPerMegabit,
        },
        samples: [],
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
    this.#chosen = new WeakMap();
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
      jitterMs: link.jitterMs,
      lossPercent: link.lossPercent,
      isDown: link.isDown,
      seenAtMs: link.seenAtMs,
      samples: link.samples,
    }));
  }

  profiles(): Profile[] {
    return [...this.#profiles.values()];
  }

  /** The profile that was measured on this very node. */
  ownProfile(modelSha256: string, node: string): Profile | undefined {
    return this.#profiles.get(profileKey(modelSha256, node));
  }

  /**
   * The newest profile of the node itself or another one of its hardware class: one measured node serves
   * its class. Those of the node's present environment come first; of others only its own counts.
   */
  profileFor(modelSha256: string, node: NodeState): Profile | undefined {
    let chosen = this.#chosen.get(node);
    if (chosen === undefined) {
      chosen = new Map();
      this.#chosen.set(node, chosen);
    }
    if (!chosen.has(modelSha256)) chosen.set(modelSha256, this.#choose(modelSha256, node));
    return chosen.get(modelSha256);
  }

  #choose(modelSha256: string, node: NodeState): Profile | undefined {
    const own = this.ownProfile(modelSha256, node.node);
    const current = this.profiles().filter(
      (profile) =>
        profile.model.sha256 === modelSha256 &&
        profile.node.hardwareClass === node.hardwareClass &&
        isCurrent(profile, node),
    );
    return (
      current.reduce<Profile | undefined>(
        (newest, profile) =>
          newest === undefined || profile.measuredAt > newest.measuredAt ? profile : newest,
        undefined,
      ) ?? own
    );
  }
}

function linkKey(path: { from: string; to: string }): string {
  return `${path.from} ${path.to}`;
}

function profileKey(modelSha256: string, node: string): string {
  return `${modelSha256} ${node}`;
}
