import { type Clock, errorMessage, type Logger, type Random } from "../core/index.js";
import type { LinkReport } from "../protocol/index.js";
import type { Peer, ProbeOptions } from "./options.js";
import { probeLink } from "./probe.js";

/** The pause between rounds varies by this share, so that nodes that started together drift apart. */
const INTERVAL_JITTER = 0.2;
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
  publishLink(from: string, to: string, report: LinkReport): unknown;
}

export interface LinkProber {
  stop(): Promise<void>;
}

/**
 * Measures the links to all peers for ever, one at a time, and publishes both directions of each.
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
  const stopping = (): boolean => signal.aborted;
  while (peers.length > 0 && !stopping()) {
    for (const peer of peers) {
      const failed = await probePeer(self, peer, { ...deps, probe, signal });
      if (stopping()) return;
      const inARow = failed === undefined ? 0 : (failures.get(peer.to) ?? 0) + 1;
      failures.set(peer.to, inARow);
      if (inARow === 1) {
        deps.log.warn({ peer: peer.to, problem: failed }, "cannot measure the link to a peer");
      }
      if (inARow >= probe.deadAfterFailures) {
        deps.publishLink(self, peer.to, LOST);
        deps.publishLink(peer.to, self, LOST);
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
  deps: LinkProberDeps & { probe: ProbeOptions; signal: AbortSignal },
): Promise<string | undefined> {
  try {
    const { up, down } = await probeLink(peer, deps.probe, deps);
    deps.publishLink(self, peer.to, up);
    deps.publishLink(peer.to, self, down);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}
