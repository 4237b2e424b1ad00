/** Lets one burst at a time into this host, whoever asks for it. */
export interface BurstGate {
  /** Undefined while another burst is under way; else what ends this one. Ending twice is harmless. */
  enter(): (() => void) | undefined;
  readonly isBusy: boolean;
}

/** A node's probe server and its own prober share one, so that they do not disturb each other. */
export function createBurstGate(): BurstGate {
  let holder: symbol | undefined;
  return {
    enter: () => {
      if (holder !== undefined) return undefined;
      const mine = Symbol("burst");
      holder = mine;
      return () => {
        if (holder === mine) holder = undefined;
      };
    },
    get isBusy() {
      return holder !== undefined;
    },
  };
}
