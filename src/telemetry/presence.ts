import type { NodeState } from "../protocol/index.js";

/** What is remembered of a node between two of its state messages. */
export interface Presence {
  bootId: string;
  status: NodeState["status"];
}

export type PresenceVerdict = "taken" | "restarted" | "old-will";

/**
 * Judges a state message. A will that a broker delivers late belongs to an earlier boot: it must not
 * take down the session that has started since, so `offline` counts only from the boot that is online.
 * `restarted` is taken too, and says that whatever ran in the earlier boot is gone.
 */
export function observePresence(
  known: Presence | undefined,
  message: Presence,
): { presence: Presence; verdict: PresenceVerdict } {
  const presence = { bootId: message.bootId, status: message.status };
  if (known === undefined || known.bootId === message.bootId) return { presence, verdict: "taken" };
  if (message.status === "offline" && known.status === "online") {
    return { presence: known, verdict: "old-will" };
  }
  return { presence, verdict: "restarted" };
}
