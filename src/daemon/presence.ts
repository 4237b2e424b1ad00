import type { Clock } from "../core/index.js";
import type { NodeState } from "../protocol/index.js";

export interface PresenceOptions {
  /** A farewell counts after this long: a broker that stops sends the wills of all, and cuts us off too. */
  farewellHoldMs: number;
  /** After our own reconnection nodes get this long to come back as well. */
  returnGraceMs: number;
}

interface PresenceDeps {
  clock: Clock;
  /** The newest known state of each node. */
  nodes: () => readonly NodeState[];
  apply: (state: NodeState) => void;
  signal: AbortSignal;
}

/**
 * Tells the absence of a node from the absence of the broker. What was known before our own connection
 * was lost stays; once it is back, a node that does not announce itself in time is gone.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #deps: PresenceDeps;
  /** Farewells that do not count yet, by node. */
  readonly #held = new Map<string, NodeState>();
  /** Nodes heard of since our last connection. */
  readonly #heard = new Set<string>();
  #connections = 0;
  #connectedAtMs = 0;

  constructor(options: PresenceOptions, deps: PresenceDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  hear(state: NodeState): void {
    this.#held.delete(state.node);
    if (state.status === "online" || !this.#isOnline(state.node)) {
      this.#heard.add(state.node);
      this.#deps.apply(state);
      return;
    }
    this.#held.set(state.node, state);
    void this.#deps.clock.sleep(this.#holdMs(state.node), this.#deps.signal).then(() => {
      if (this.#held.get(state.node) !== state || this.#deps.signal.aborted) return;
      this.#held.delete(state.node);
      this.#deps.apply(state);
    });
  }

  connection(isConnected: boolean): void {
    const { clock, signal } = this.#deps;
    this.#held.clear();
    if (!isConnected) return;
    this.#heard.clear();
    this.#connections += 1;
    this.#connectedAtMs = clock.monotonicMs();
    const connection = this.#connections;
    void clock.sleep(this.#options.returnGraceMs, signal).then(() => {
      if (connection === this.#connections && !signal.aborted) this.#dismissSilent();
    });
  }

  #dismissSilent(): void {
    for (const state of this.#deps.nodes()) {
      if (state.status === "online" && !this.#heard.has(state.node)) {
        this.#deps.apply({ ...state, status: "offline" });
      }
    }
  }

  #isOnline(node: string): boolean {
    return this.#deps.nodes().some((known) => known.node === node && known.status === "online");
  }

  /** What a broker kept from before it was away says nothing about a node that has yet to return. */
  #holdMs(node: string): number {
    const isReturning = this.#connections > 1 && !this.#heard.has(node);
    const graceEndMs = this.#connectedAtMs + this.#options.returnGraceMs;
    const restMs = isReturning ? graceEndMs - this.#deps.clock.monotonicMs() : 0;
    return Math.max(this.#options.farewellHoldMs, restMs);
  }
}
