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
import { type Client, cutOff, type Node } from "./rollout-runtime.js";

const EPOCH = "epoch-1";

/** What is under test. A rule may be replaced by a wrong one, to see that it is found. */
export const RULES = { nextContent, advance, answered, begin, cutOff };
export type Rules = typeof RULES;

export interface Daemon {
  /** Revision in force, which is on its disk. */
  inForce: number;
  newest: number;
  rollout: Exclude<Rollout, { phase: "over" }> | undefined;
  isIncomplete: boolean;
}

/** All that decides what the daemon makes of one node. */
export interface Outlook {
  nodeCount: number;
  inForce: number;
  /** Revision of the rollout; 0 where there is none. */
  rollout: number;
  isCandidate: boolean;
  isParticipant: boolean;
  isLagging: boolean;
}

export const EVENTS = ["joined", "ready", "active", "rejected", "vanished"] as const;
/** What a step at a node means for the rollout. */
export type NodeEvent = (typeof EVENTS)[number];

export interface Stepped {
  node: Node;
  event?: NodeEvent | undefined;
}

export function nodeName(index: number): string {
  return `node-${index}`;
}

const plans = new Map<string, PlanDocument>();

/** Plans differ in who takes part: the even ones do without the last node. */
export function planOf(revision: number, nodeCount: number): PlanDocument {
  const key = `${revision} ${nodeCount}`;
  let plan = plans.get(key);
  if (plan === undefined) {
    const [partition] = aPlan().partitions;
    const used = revision % 2 === 0 ? permanent(nodeCount) : nodeCount;
    const partitions = Array.from({ length: used }, (_, index) => ({
      ...partition!,
      node: nodeName(index),
    }));
    plan = aPlan({ revision, source: nodeName(0), partitions });
    plans.set(key, plan);
  }
  return plan;
}

/** How many nodes take part in every plan: any of them may be the one where requests arise. */
export function permanent(nodeCount: number): number {
  return nodeCount > 2 ? nodeCount - 1 : nodeCount;
}

/** What the daemon knows of a runtime that has just subscribed with what it has. */
export function subscribed(name: string, { inForce: held, prepared: loaded }: Client): Session {
  const prepared = loaded === 0 ? {} : { prepared: { camera: loaded } };
  const have = { epoch: EPOCH, revisions: { camera: held }, ...prepared };
  return createSession({
    type: "subscribe",
    role: "runtime",
    node: name,
    ...(held === 0 ? {} : { have }),
  });
}

export function outlookOf(daemon: Daemon, index: number, nodes: readonly Node[]): Outlook {
  const { inForce, rollout, isIncomplete } = daemon;
  const isCandidate = rollout?.phase === "preparing" || rollout?.phase === "committing";
  return {
    nodeCount: nodes.length,
    inForce,
    rollout: rollout?.plan.revision ?? 0,
    isCandidate,
    isParticipant: rollout?.participants.has(nodeName(index)) === true,
    isLagging:
      isIncomplete ||
      isSwitching(daemon) ||
      nodes.some((node) => isBehind(node, inForce, nodes.length)),
  };
}

export function isSwitching({ rollout }: Daemon): boolean {
  return rollout !== undefined && rollout.phase !== "preparing";
}

export function isBehind({ session }: Node, inForce: number, nodeCount: number): boolean {
  return session !== undefined && lagsBehind(session, planOf(inForce, nodeCount));
}

function viewOf({ session }: Node, outlook: Outlook): View {
  const { inForce, rollout, nodeCount, isCandidate, isParticipant, isLagging } = outlook;
  const nodes = new Set(isParticipant ? [session?.node ?? ""] : []);
  return {
    epoch: EPOCH,
    plans: [planOf(inForce, nodeCount)],
    candidates: isCandidate ? [{ plan: planOf(rollout, nodeCount), nodes }] : [],
    isLagging: () => isLagging,
  };
}

/** What the state of its session says to a rollout of this revision. */
export function says(
  { session }: Node,
  { rollout, nodeCount }: Pick<Outlook, "rollout" | "nodeCount">,
): NodeEvent | undefined {
  if (rollout === 0 || session === undefined) return undefined;
  return whatItSays(session, session.node ?? "", planOf(rollout, nodeCount))?.kind as NodeEvent;
}

/** The daemon sends a node the next frame, which the socket takes at once. */
export function send(node: Node, outlook: Outlook, rules: Rules): Stepped | undefined {
  const { session, down } = node;
  if (session === undefined) return undefined;
  const content = rules.nextContent(session, viewOf(node, outlook));
  if (content === undefined) return undefined;
  const nonce = String(node.nonces + 1);
  const begun = flushed(rules.begin(session, content, { nonce, epoch: EPOCH }));
  const frames = [...down, { nonce, content }];
  const sent = { ...node, session: begun, down: frames, nonces: node.nonces + 1 };
  return { node: sent, event: says(sent, outlook) };
}

/** The daemon reads an answer; a duplicate stays on the wire. */
export function takeAnswer(
  node: Node,
  outlook: Outlook,
  { rules, isDuplicate }: { rules: Rules; isDuplicate: boolean },
): Stepped | undefined {
  const { session, up, readyFor } = node;
  const [answer, ...later] = up;
  if (answer === undefined || session === undefined) return undefined;
  const result = rules.answered(session, answer);
  if (isDuplicate && result.stale) return undefined;
  const preparation = [...session.preparing.values()].find(({ nonce }) => nonce === answer.nonce);
  const isReady = !result.stale && answer.type === "ready" && preparation !== undefined;
  const after: Node = {
    ...node,
    session: result.session,
    up: isDuplicate ? up : later,
    readyFor: isReady ? [...new Set([...readyFor, preparation.revision])] : readyFor,
  };
  return { node: after, event: says(after, outlook) };
}

/** The connection ends; in a crash the runtime as well, so nobody expects what it was ready for. */
export function cut(node: Node, isCrash: boolean, rules: Rules): Stepped | undefined {
  if (node.session === undefined) return undefined;
  const client = rules.cutOff(node.client, isCrash);
  const readyFor = isCrash ? [] : node.readyFor;
  const left = { ...node, session: undefined, down: [], up: [], client, readyFor };
  return { node: left, event: "vanished" };
}

export function connect(node: Node, name: string, outlook: Outlook): Stepped | undefined {
  if (node.session !== undefined) return undefined;
  const session = subscribed(name, node.client);
  const { rollout, nodeCount } = outlook;
  const isAskedFor =
    rollout !== 0 && participantsOf(planOf(rollout, nodeCount), [session]).length > 0;
  return { node: { ...node, session }, event: isAskedFor ? "joined" : undefined };
}

export function propose(daemon: Daemon, nodes: readonly Node[], newestMax: number): Daemon {
  const { rollout, newest } = daemon;
  if (rollout !== undefined || newest >= newestMax) return daemon;
  const plan = planOf(newest + 1, nodes.length);
  const sessions = nodes.flatMap(({ session }) => session ?? []);
  const started = startRollout(plan, participantsOf(plan, sessions), 0);
  if (started.phase === "over") throw new Error("over before it began");
  return { ...daemon, newest: plan.revision, rollout: started };
}

/** The rollout after an event, and what its end means. */
export function moved(daemon: Daemon, event: RolloutEvent, { advance }: Rules): Daemon {
  if (daemon.rollout === undefined) return daemon;
  const rollout = advance(daemon.rollout, event);
  if (rollout.phase !== "over") return { ...daemon, rollout };
  let { isIncomplete } = daemon;
  if (rollout.outcome.kind === "active") isIncomplete = false;
  if (rollout.outcome.kind === "incomplete") isIncomplete = true;
  return { ...daemon, rollout: undefined, isIncomplete };
}

/** The same for what a step at this node meant. */
export function told(
  daemon: Daemon,
  { event, index, rules }: { event: NodeEvent | undefined; index: number; rules: Rules },
): Daemon {
  if (event === undefined) return daemon;
  const node = nodeName(index);
  return moved(daemon, { kind: event, node, reason: "no memory" }, rules);
}

/** Kill -9: what is on disk stays, which is the plan in force. */
export function restarted(daemon: Daemon): Daemon {
  return { ...daemon, rollout: undefined, isIncomplete: false };
}
