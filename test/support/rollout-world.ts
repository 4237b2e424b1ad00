import type { View } from "../../src/publisher/content.js";
import { nextContent } from "../../src/publisher/next.js";
import {
  advance,
  type Rollout,
  type RolloutEvent,
  startRollout,
} from "../../src/publisher/rollout.js";
import { lagsBehind, participantsOf, whatItSays } from "../../src/publisher/rollouts.js";
import {
  answered,
  begin,
  createSession,
  flushed,
  type Session,
} from "../../src/publisher/session.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { aPlan } from "./plans.js";
import {
  type Client,
  cutOff,
  drained,
  heard,
  NEW_CLIENT,
  type Node,
  prepared,
} from "./rollout-runtime.js";

export const EPOCH = "epoch-1";

/** A daemon, its runtimes, and what is on the wire between them. Never changed in place. */
export interface World {
  nodes: readonly Node[];
  /** Revision in force at the daemon. */
  inForce: number;
  newest: number;
  rollout: Rollout | undefined;
  isIncomplete: boolean;
  /** By node: the revisions that it said it was ready for since it was started. */
  ready: readonly (readonly number[])[];
  nonces: number;
  faults: number;
}

export interface WorldLimits {
  nodes: number;
  revisions: number;
  faults: number;
}

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
    ready: Array.from({ length: nodes }, () => [1]),
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
    add(`answer ${index}`, takeAnswer(world, index, false));
    add(`hear ${index}`, become(world, index, heard));
    add(`prepared ${index}`, become(world, index, loaded));
    add(`drained ${index}`, become(world, index, drained));
    add(`connect ${index}`, connect(world, index));
  }
  if (world.faults < limits.faults) {
    const faulty = { ...world, faults: world.faults + 1 };
    for (const index of world.nodes.keys()) {
      add(`cut ${index}`, cut(faulty, index, false));
      add(`crash ${index}`, cut(faulty, index, true));
      add(`refuse ${index}`, become(faulty, index, refused));
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

const loaded = (node: Node): Node | undefined => prepared(node, true);
const refused = (node: Node): Node | undefined => prepared(node, false);

/** What the runtime does by itself; undefined where there is nothing to do. */
function become(
  world: World,
  index: number,
  step: (node: Node) => Node | undefined,
): World | undefined {
  const after = step(world.nodes[index]!);
  return after === undefined ? undefined : withNode(world, index, after);
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

/** The daemon reads an answer; a duplicate stays on the wire. */
function takeAnswer(world: World, index: number, isDuplicate: boolean): World | undefined {
  const { session, up } = world.nodes[index]!;
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
    ? after.ready.with(index, [...after.ready[index]!, rollout.plan.revision])
    : after.ready;
  return observed({ ...after, ready }, result.session);
}

function cut(world: World, index: number, isCrash: boolean): World | undefined {
  const { session, client } = world.nodes[index]!;
  if (session === undefined) return undefined;
  const left = cutOff(client, isCrash);
  const after = withNode(world, index, { session: undefined, down: [], up: [], client: left });
  // What it was ready for before it was killed, nobody expects of it.
  const ready = isCrash ? world.ready.with(index, []) : world.ready;
  return move({ ...after, ready }, { kind: "vanished", node: nodeName(index) });
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
