import type { Content } from "../../src/publisher/content.js";
import type { Answer, Session } from "../../src/publisher/session.js";

export interface Frame {
  nonce: string;
  content: Content;
}

/** A runtime that follows the protocol as the documentation tells it to. */
export interface Client {
  /** What new requests run on; 0 before the first plan. */
  inForce: number;
  /** Older revisions on which requests that began here are still under way. */
  draining: readonly number[];
  /** Everything it could serve a request on. */
  loaded: readonly number[];
  preparing: { nonce: string; revision: number } | undefined;
  prepared: number;
  /** It switched, and says so when its old requests have ended. */
  switching: Answer | undefined;
  /** It has answered the snapshot of this connection: what it did alone meanwhile has ended. */
  isSynced: boolean;
}

/** A runtime, what the daemon knows of it, and what is on the wire between them. */
export interface Node {
  session: Session | undefined;
  down: readonly Frame[];
  up: readonly Answer[];
  client: Client;
  /** The revisions that it said it was ready for since it was started. */
  readyFor: readonly number[];
  /** Frames sent to it so far. */
  nonces: number;
}

export const NEW_CLIENT: Client = {
  inForce: 0,
  draining: [],
  loaded: [],
  preparing: undefined,
  prepared: 0,
  switching: undefined,
  isSynced: false,
};

/** The runtime reads a frame. */
export function heard(node: Node): Node | undefined {
  const { client, down } = node;
  const [frame, ...later] = down;
  // A runtime that is switching reads on, but answers in order; the daemon sends no more anyway.
  if (frame === undefined) return undefined;
  const { nonce, content } = frame;
  const after = (change: Partial<Client>): Node => ({
    ...node,
    down: later,
    client: { ...client, ...change },
  });
  switch (content.kind) {
    case "snapshot":
    case "update": {
      const revision =
        content.kind === "snapshot" ? content.revisions.get("camera")! : content.plan.revision;
      const isPrepared = client.prepared === revision || client.preparing?.revision === revision;
      const switched = after({
        ...inForce(client, revision),
        loaded: [...new Set([...client.loaded, revision])],
        ...(isPrepared ? { preparing: undefined, prepared: 0 } : {}),
        switching: { type: "ack", nonce },
      });
      return switched.client.draining.length === 0 ? drained(switched) : switched;
    }
    case "prepare":
      return after({ preparing: { nonce, revision: content.plan.revision } });
    case "activate": {
      const { revision } = content.plan;
      if (client.prepared !== revision) throw new Error(`activate ${revision} unprepared`);
      return after({
        ...inForce(client, revision),
        prepared: 0,
        switching: { type: "active", nonce },
      });
    }
    case "abort": {
      const { revision } = content;
      const loaded = client.loaded.filter((each) => each !== revision);
      return after({
        loaded: client.prepared === revision ? loaded : client.loaded,
        preparing: undefined,
        prepared: 0,
      });
    }
    case "retire":
      return after({
        loaded: client.loaded.filter((each) => each >= content.revision),
        prepared: client.prepared < content.revision ? 0 : client.prepared,
      });
    case "removed":
      throw new Error("nothing is removed here");
  }
}

function inForce(client: Client, revision: number): Partial<Client> {
  if (revision < client.inForce) throw new Error(`from ${client.inForce} back to ${revision}`);
  if (revision === client.inForce || client.inForce === 0) return { inForce: revision };
  return { inForce: revision, draining: [...client.draining, client.inForce] };
}

/** The runtime has loaded what it was told to prepare, or cannot. */
export function prepared(node: Node, isFine: boolean): Node | undefined {
  const { client, up } = node;
  if (client.preparing === undefined) return undefined;
  const { nonce, revision } = client.preparing;
  const answer: Answer = isFine
    ? { type: "ready", nonce }
    : { type: "reject", nonce, reason: "no memory" };
  const after: Client = {
    ...client,
    preparing: undefined,
    prepared: isFine ? revision : 0,
    loaded: isFine ? [...client.loaded, revision] : client.loaded,
  };
  return { ...node, client: after, up: [...up, answer] };
}

/** The requests that began at the runtime on older revisions have ended. */
export function drained(node: Node): Node | undefined {
  const { client, up } = node;
  if (client.draining.length === 0 && client.switching === undefined) return undefined;
  const isSynced = client.isSynced || client.switching !== undefined;
  return {
    ...node,
    client: { ...client, draining: [], switching: undefined, isSynced },
    up: client.switching === undefined ? up : [...up, client.switching],
  };
}

/** The runtime after its connection was lost, or after it was killed. */
export function cutOff(client: Client, isCrash: boolean): Client {
  if (isCrash) return NEW_CLIENT;
  return { ...client, isSynced: false, switching: undefined, preparing: undefined };
}
