import { type Clock, errorMessage, type Logger, type Random } from "../core/index.js";
import type { LinkReport } from "../protocol/index.js";
import type { Peer, ProbeOptions } from "./options.js";
import type { BurstGate } from "./burst-gate.js";
import type { PassiveLinks } from "./passive-links.js";
import { Spending } from "./spending.js";
import { type ProbeResult, probeLink } from "./probe.js";

/** The pause between rounds varies by this share, so that nodes that started together drift apart. */
const INTERVAL_JITTER = 0.2;
const SOURCE_LENGTH_MAX = 63;
const LOST: LinkReport = { lossPercent: 100 };

export interface LinkProberSetup {
  self: string;
  peers: readonly Peer[];
  probe: ProbeOptions;
}

export interface LinkProberDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  /** Shared with the probe server of this node. */
  gate?: BurstGate;
  /** What is known of rates by real transfers. */
  passive?: PassiveLinks;
  publishLink(from: string, to: string, report: LinkReport): unknown;
}

export interface LinkProber {
  stop(): Promise<void>;
}

/**
 * Measures the links to all peers for ever, one at a time, and publishes both directions of each, as
 * the source "probe-<self>". Bandwidth and loss are measured as the data budget allows, and not while
 * the runtimes' own transfers tell the rate of a link.
 * A peer that fails once is only logged: a single failure says little. After `deadAfterFailures` in a row
 * each further failure publishes a loss of 100 % in both directions, until the peer answers again.
 */
export function startLinkProber(setup: LinkProberSetup, deps: LinkProberDeps): LinkProber {
  const stopping = new AbortController();
  const finished = probeForEver(setup, deps, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await finished;
    },
  };
}

async function probeForEver(
  { self, peers, probe }: LinkProberSetup,
  deps: LinkProberDeps,
  signal: AbortSignal,
): Promise<void> {
  const failures = new Map<string, number>();
  const spending = new Spending(probe, deps);
  const stopping = (): boolean => signal.aborted;
  while (peers.length > 0 && !stopping()) {
    for (const peer of peers) {
      const failed = await probePeer(self, peer, { ...deps, probe, signal, spending });
      if (stopping()) return;
      const inARow = failed === undefined ? 0 : (failures.get(peer.to) ?? 0) + 1;
      failures.set(peer.to, inARow);
      if (inARow === 1) {
        deps.log.warn({ peer: peer.to, problem: failed }, "cannot measure the link to a peer");
      }
      if (inARow >= probe.deadAfterFailures) {
        publish(deps, { self, peer: peer.to }, { up: LOST, down: LOST });
      }
    }
    const share = 1 + INTERVAL_JITTER * (deps.random() - 0.5);
    await deps.clock.sleep(probe.intervalSeconds * 1_000 * share, signal);
  }
}

/** One probe, published; the reason why there is none, otherwise. */
async function probePeer(
  self: string,
  peer: Peer,
  deps: LinkProberDeps & { probe: ProbeOptions; signal: AbortSignal; spending: Spending },
): Promise<string | undefined> {
  const { probe, passive, spending } = deps;
  const freshMs = probe.passiveFreshSeconds * 1_000;
  const isKnown =
    passive?.isFresh(self, peer.to, freshMs) === true && passive.isFresh(peer.to, self, freshMs);
  const purse = spending.begin(peer.to);
  try {
    const spend = isKnown ? () => false : purse.spend;
    publish(deps, { self, peer: peer.to }, await probeLink(peer, probe, { ...deps, spend }));
    return undefined;
  } catch (error) {
    return errorMessage(error);
  } finally {
    purse.end();
  }
}

function publish(
  deps: LinkProberDeps,
  { self, peer }: { self: string; peer: string },
  { up, down }: ProbeResult,
): void {
  const source = sourceOf(self);
  deps.publishLink(self, peer, { ...up, source });
  deps.publishLink(peer, self, { ...down, source });
}

/** Names of nodes are short enough, but for the longest ones. */
function sourceOf(self: string): string {
  return `probe-${self}`.slice(0, SOURCE_LENGTH_MAX);
}
