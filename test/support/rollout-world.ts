import type { Content, View } from "../../src/publisher/content.js";
import { nextContent } from "../../src/publisher/next.js";
import {
  advance,
  type Rollout,
  type RolloutEvent,
  startRollout,
} from "../../src/publisher/rollout.js";
import { lagsBehind, participantsOf, whatItSays } from "../../src/publisher/rollouts.js";
import {
  type Answer,
  answered,
  begin,
  createSession,
  flushed,
  type Session,
} from "../../src/publisher/session.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { aPlan } from "./plans.js";

export const EPOCH = "epoch-1";

interface Frame {
  nonce: string;
  content: Content;
}

/** A runtime that follows the protocol as the documentation tells it to. */
interface Client {
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
  /** Counts crashes. */
  boot: number;
}

interface Node {
  session: Session | undefined;
  down: readonly Frame[];
  up: readonly Answer[];
  client: Client;
}

/** A daemon, its runtimes, and what is on the wire between them. Never changed in place. */
export interface World {
  nodes: readonly Node[];
  /** Revision in force at the daemon. */
  inForce: number;
  newest: number;
  rollout: Rollout | undefined;
  isIncomplete: boolean;
  /** For each revision: who said it was ready for it, with the boot that said so. */
  ready: readonly (readonly [revision: number, node: number, boot: number])[];
  nonces: number;
  faults: number;
}

export interface WorldLimits {
  nodes: number;
  revisions: number;
  faults: number;
}

const NEW_CLIENT: Client = {
  inForce: 0,
  draining: [],
  loaded: [],
  preparing: undefined,
  prepared: 0,
  switching: undefined,
  isSynced: false,
  boot: 0,
};

export function nodeName(index: number): string {
  return `node-${index}`;
}

/** Every node begins with revision 1 in force; requests arise at node 0. */
export function firstWorld({ nodes }: WorldLimits): World {
  const client = { ...NEW_CLIENT, inForce: 1, loaded: [1], isSynced: true };
  return {
    nodes: Array.from({ length: nodes }, (_, index) => ({
      session: { ...subscribed(index, client), greeted: true, unretired: new Set<string>() },
      down: [],
      up: [],
      client,
    })),
    inForce: 1,
    newest: 1,
    rollout: undefined,
    isIncomplete: false,
    ready: Array.from({ length: nodes }, (_, index) => [1, index, 0] as const),
    nonces: 0,
    faults: 0,
  };
}

function subscribed(index: number, { inForce: held, prepared: loaded }: Client): Session {
  const prepared = loaded === 0 ? {} : { prepared: { camera: loaded } };
  const have = { epoch: EPOCH, revisions: { camera: held }, ...prepared };
  return createSession({
    type: "subscribe",
    role: "runtime",
    node: nodeName(index),
    ...(held === 0 ? {} : { have }),
  });
}

const plans = new Map<string, PlanDocument>();

/** Plans differ in who takes part: the even ones do without the last node. */
export function planOf(revision: number, nodeCount: number): PlanDocument {
  const key = `${revision} ${nodeCount}`;
  let plan = plans.get(key);
  if (plan === undefined) {
    const [partition] = aPlan().partitions;
    const used = revision % 2 === 0 && nodeCount > 2 ? nodeCount - 1 : nodeCount;
    const partitions = Array.from({ length: used }, (_, index) => ({
      ...partition!,
      node: nodeName(index),
    }));
    plan = aPlan({ revision, source: nodeName(0), partitions });
    plans.set(key, plan);
  }
  return plan;
}

function viewOf(world: World): View {
  const { rollout } = world;
  const isCandidate = rollout?.phase === "preparing" || rollout?.phase === "committing";
  const plan = planOf(world.inForce, world.nodes.length);
  return {
    epoch: EPOCH,
    plans: [plan],
    candidates: isCandidate
      ? [{ plan: rollout.plan, nodes: new Set(rollout.participants.keys()) }]
      : [],
    isLagging: () =>
      world.isIncomplete ||
      rollout?.phase === "committing" ||
      rollout?.phase === "activating" ||
      world.nodes.some(({ session }) => session !== undefined && lagsBehind(session, plan)),
  };
}

/** Every world that one step leads to, with the step's name. */
export function steps(world: World, limits: WorldLimits): [string, World][] {
  const next: [string, World][] = [];
  const add = (name: string, after: World | undefined): void => {
    if (after !== undefined) next.push([name, after]);
  };
  add("propose", propose(world, limits));
  if (world.rollout?.phase === "committing") {
    // Offering and hearing that the commit is done are two steps: answers may come between them.
    if (world.inForce === world.rollout.plan.revision) {
      add("committed", move(world, { kind: "committed", deadlineMs: 1 }));
    } else {
      add("offer", { ...world, inForce: world.rollout.plan.revision });
    }
  }
  for (const index of world.nodes.keys()) {
    add(`send ${index}`, send(world, index));
    add(`hear ${index}`, hear(world, index));
    add(`answer ${index}`, takeAnswer(world, index, false));
    add(`prepared ${index}`, prepared(world, index, true));
    add(`drained ${index}`, drained(world, index));
    add(`connect ${index}`, connect(world, index));
  }
  if (world.faults < limits.faults) {
    const faulty = { ...world, faults: world.faults + 1 };
    for (const index of world.nodes.keys()) {
      add(`cut ${index}`, cut(faulty, index, false));
      add(`crash ${index}`, cut(faulty, index, true));
      add(`refuse ${index}`, prepared(faulty, index, false));
      add(`duplicate ${index}`, takeAnswer(faulty, index, true));
    }
    if (world.rollout !== undefined) {
      add("time-out", move(faulty, { kind: "time", nowMs: Number.POSITIVE_INFINITY }));
      if (world.inForce !== world.rollout.plan.revision) {
        add("disk full", move(faulty, { kind: "commit-failed", reason: "disk full" }));
      }
    }
    add("daemon crash", restart(faulty));
  }
  return next;
}

function propose(world: World, limits: WorldLimits): World | undefined {
  if (world.rollout !== undefined || world.newest >= limits.revisions) return undefined;
  const plan = planOf(world.newest + 1, world.nodes.length);
  const sessions = world.nodes.flatMap(({ session }) => session ?? []);
  const rollout = startRollout(plan, participantsOf(plan, sessions), 0);
  return { ...world, newest: plan.revision, rollout };
}

/** The rollout after an event, and what its end means. */
function move(world: World, event: RolloutEvent): World {
  if (world.rollout === undefined) return world;
  let rollout: Rollout | undefined = advance(world.rollout, event);
  if (world.rollout.phase === "preparing" && rollout.phase === "committing") {
    refuseUnready(world, rollout);
  }
  if (event.kind === "committed") {
    for (const { session } of world.nodes) {
      const said = session === undefined ? undefined : says(session, rollout);
      if (said !== undefined) rollout = advance(rollout, said);
    }
  }
  let { isIncomplete } = world;
  if (rollout.phase === "over") {
    if (rollout.outcome.kind === "active") isIncomplete = false;
    if (rollout.outcome.kind === "incomplete") isIncomplete = true;
    rollout = undefined;
  }
  return { ...world, rollout, isIncomplete };
}

/** Beyond the point of no return every participant has loaded what it will be told to switch to. */
function refuseUnready(world: World, rollout: Exclude<Rollout, { phase: "over" }>): void {
  for (const [index, { client }] of world.nodes.entries()) {
    const isParticipant = rollout.participants.has(nodeName(index));
    if (!isParticipant || client.loaded.includes(rollout.plan.revision)) continue;
    throw new Error(`${nodeName(index)} is not ready for revision ${rollout.plan.revision}`);
  }
}

function says(session: Session, rollout: Rollout): RolloutEvent | undefined {
  return whatItSays(session, session.node ?? "", rollout.plan);
}

function observed(world: World, session: Session): World {
  const event = world.rollout === undefined ? undefined : says(session, world.rollout);
  return event === undefined ? world : move(world, event);
}

function withNode(world: World, index: number, change: Partial<Node>): World {
  const nodes = world.nodes.map((node, at) => (at === index ? { ...node, ...change } : node));
  return { ...world, nodes };
}

function withClient(world: World, index: number, change: Partial<Client>): World {
  return withNode(world, index, { client: { ...world.nodes[index]!.client, ...change } });
}

/** The daemon sends a node the next frame, which the socket takes at once. */
function send(world: World, index: number): World | undefined {
  const { session, down } = world.nodes[index]!;
  if (session === undefined) return undefined;
  const content = nextContent(session, viewOf(world));
  if (content === undefined) return undefined;
  const nonce = String(world.nonces + 1);
  const begun = flushed(begin(session, content, { nonce, epoch: EPOCH }));
  const sent = withNode(world, index, { session: begun, down: [...down, { nonce, content }] });
  return observed({ ...sent, nonces: world.nonces + 1 }, begun);
}

/** The runtime reads a frame. */
function hear(world: World, index: number): World | undefined {
  const { client, down } = world.nodes[index]!;
  const [frame, ...later] = down;
  // A runtime that is switching reads on, but answers in order; the daemon sends no more anyway.
  if (frame === undefined) return undefined;
  const read = withNode(world, index, { down: later });
  const { nonce, content } = frame;
  switch (content.kind) {
    case "snapshot":
    case "update": {
      const revision =
        content.kind === "snapshot" ? content.revisions.get("camera")! : content.plan.revision;
      const isPrepared = client.prepared === revision || client.preparing?.revision === revision;
      const after = withClient(read, index, {
        ...inForce(client, revision),
        loaded: [...new Set([...client.loaded, revision])],
        ...(isPrepared ? { preparing: undefined, prepared: 0 } : {}),
        switching: { type: "ack", nonce },
      });
      return after.nodes[index]!.client.draining.length === 0 ? drained(after, index) : after;
    }
    case "prepare":
      return withClient(read, index, { preparing: { nonce, revision: content.plan.revision } });
    case "activate": {
      const { revision } = content.plan;
      if (client.prepared !== revision) throw new Error(`activate ${revision} unprepared`);
      return withClient(read, index, {
        ...inForce(client, revision),
        prepared: 0,
        switching: { type: "active", nonce },
      });
    }
    case "abort": {
      const loaded = client.loaded.filter((each) => each !== content.revision);
      return withClient(read, index, {
        loaded: client.prepared === content.revision ? loaded : client.loaded,
        preparing: undefined,
        prepared: 0,
      });
    }
    case "retire":
      return withClient(read, index, {
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
function prepared(world: World, index: number, isFine: boolean): World | undefined {
  const { client, up } = world.nodes[index]!;
  if (client.preparing === undefined) return undefined;
  const { nonce, revision } = client.preparing;
  const answer: Answer = isFine
    ? { type: "ready", nonce }
    : { type: "reject", nonce, reason: "no memory" };
  const after = withClient(world, index, {
    preparing: undefined,
    prepared: isFine ? revision : 0,
    loaded: isFine ? [...client.loaded, revision] : client.loaded,
  });
  return withNode(after, index, { up: [...up, answer] });
}

/** The requests that began at the runtime on older revisions have ended. */
function drained(world: World, index: number): World | undefined {
  const { client, up } = world.nodes[index]!;
  if (client.draining.length === 0 && client.switching === undefined) return undefined;
  const isSynced = client.isSynced || client.switching !== undefined;
  const after = withClient(world, index, { draining: [], switching: undefined, isSynced });
  if (client.switching === undefined) return after;
  return withNode(after, index, { up: [...up, client.switching] });
}

/** The daemon reads an answer; a duplicate stays on the wire. */
function takeAnswer(world: World, index: number, isDuplicate: boolean): World | undefined {
  const { session, up, client } = world.nodes[index]!;
  const [answer, ...later] = up;
  if (answer === undefined || session === undefined) return undefined;
  const result = answered(session, answer);
  if (isDuplicate && result.stale) return undefined;
  const after = withNode(world, index, {
    session: result.session,
    up: isDuplicate ? up : later,
  });
  const { rollout } = after;
  const saysReady = !result.stale && answer.type === "ready" && rollout !== undefined;
  const ready = saysReady
    ? [...after.ready, [rollout.plan.revision, index, client.boot] as const]
    : after.ready;
  return observed({ ...after, ready }, result.session);
}

function cut(world: World, index: number, isCrash: boolean): World | undefined {
  const { session, client } = world.nodes[index]!;
  if (session === undefined) return undefined;
  const left: Client = isCrash
    ? { ...NEW_CLIENT, boot: client.boot + 1 }
    : { ...client, isSynced: false, switching: undefined, preparing: undefined };
  const after = withNode(world, index, { session: undefined, down: [], up: [], client: left });
  return move(after, { kind: "vanished", node: nodeName(index) });
}

function connect(world: World, index: number): World | undefined {
  const { session, client } = world.nodes[index]!;
  if (session !== undefined) return undefined;
  const opened = subscribed(index, client);
  const after = withNode(world, index, { session: opened });
  const isAskedFor =
    world.rollout !== undefined && participantsOf(world.rollout.plan, [opened]).length > 0;
  return isAskedFor ? move(after, { kind: "joined", node: nodeName(index) }) : after;
}

/** Kill -9: what is on disk stays, which is the plan in force. */
function restart(world: World): World {
  let after: World = { ...world, rollout: undefined, isIncomplete: false };
  for (const index of world.nodes.keys()) after = cut(after, index, false) ?? after;
  return after;
}
