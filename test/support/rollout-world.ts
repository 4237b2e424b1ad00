import type { RolloutEvent } from "../../src/publisher/rollout.js";
import {
  connect,
  cut,
  type Daemon,
  moved,
  nodeName,
  outlookOf,
  propose,
  restarted,
  RULES,
  type Rules,
  says,
  send,
  type Stepped,
  subscribed,
  takeAnswer,
  told,
} from "./rollout-daemon.js";
import { refuseUnready } from "./rollout-promises.js";
import { drained, heard, NEW_CLIENT, type Node, prepared } from "./rollout-runtime.js";

/** A daemon, its runtimes, and what is on the wire between them. Never changed in place. */
export interface World {
  nodes: readonly Node[];
  daemon: Daemon;
  faults: number;
}

export interface WorldLimits {
  nodes: number;
  revisions: number;
  faults: number;
}

export const FIRST_DAEMON: Daemon = {
  inForce: 1,
  newest: 1,
  rollout: undefined,
  isIncomplete: false,
};

/** Every node begins with revision 1 in force. */
export function firstNode(name: string): Node {
  const client = { ...NEW_CLIENT, inForce: 1, loaded: [1], isSynced: true };
  const session = { ...subscribed(name, client), greeted: true, unretired: new Set<string>() };
  return { session, down: [], up: [], client, readyFor: [1], nonces: 0 };
}

export function firstWorld({ nodes }: WorldLimits): World {
  return {
    nodes: Array.from({ length: nodes }, (_, index) => firstNode(nodeName(index))),
    daemon: FIRST_DAEMON,
    faults: 0,
  };
}

type Steps = [string, World][];

/** Every world that one step leads to, with the step's name. */
export function steps(world: World, limits: WorldLimits, rules: Rules = RULES): Steps {
  const next = [...daemonSteps(world, limits, rules)];
  for (const index of world.nodes.keys()) next.push(...nodeSteps(world, index, rules));
  if (world.faults < limits.faults) {
    const faulty = { ...world, faults: world.faults + 1 };
    for (const index of world.nodes.keys()) next.push(...nodeFaults(faulty, index, rules));
    next.push(...daemonFaults(faulty, rules));
  }
  return next;
}

function daemonSteps(world: World, limits: WorldLimits, rules: Rules): Steps {
  const { daemon, nodes } = world;
  const { rollout, inForce } = daemon;
  const proposed = propose(daemon, nodes, limits.revisions);
  const next: Steps = proposed === daemon ? [] : [["propose", { ...world, daemon: proposed }]];
  if (rollout?.phase !== "committing") return next;
  // Offering and hearing that the commit is done are two steps: answers may come between them.
  const { revision } = rollout.plan;
  if (inForce !== revision) {
    return [...next, ["offer", { ...world, daemon: { ...daemon, inForce: revision } }]];
  }
  let after = move(world, { kind: "committed", deadlineMs: 1 }, rules);
  for (const [index, node] of nodes.entries()) {
    const event = says(node, { rollout: revision, nodeCount: nodes.length });
    after = { ...after, daemon: told(after.daemon, { event, index, rules }) };
  }
  return [...next, ["committed", after]];
}

function daemonFaults(faulty: World, rules: Rules): Steps {
  const { rollout, inForce } = faulty.daemon;
  const next: Steps = [];
  if (rollout !== undefined) {
    const late: RolloutEvent = { kind: "time", nowMs: Number.POSITIVE_INFINITY };
    next.push(["time-out", move(faulty, late, rules)]);
    if (inForce !== rollout.plan.revision) {
      const full: RolloutEvent = { kind: "commit-failed", reason: "disk full" };
      next.push(["disk full", move(faulty, full, rules)]);
    }
  }
  const nodes = faulty.nodes.map((node) => cut(node, false, rules)?.node ?? node);
  return [...next, ["daemon crash", { ...faulty, nodes, daemon: restarted(faulty.daemon) }]];
}

function nodeSteps(world: World, index: number, rules: Rules): Steps {
  const node = world.nodes[index]!;
  const outlook = outlookOf(world.daemon, index, world.nodes);
  return stepsOf(
    { world, index, rules },
    {
      send: send(node, outlook, rules),
      answer: takeAnswer(node, outlook, { rules, isDuplicate: false }),
      hear: alone(heard(node)),
      prepared: alone(prepared(node, true)),
      drained: alone(drained(node)),
      connect: connect(node, nodeName(index), outlook),
    },
  );
}

function nodeFaults(faulty: World, index: number, rules: Rules): Steps {
  const node = faulty.nodes[index]!;
  const outlook = outlookOf(faulty.daemon, index, faulty.nodes);
  return stepsOf(
    { world: faulty, index, rules },
    {
      cut: cut(node, false, rules),
      crash: cut(node, true, rules),
      refuse: alone(prepared(node, false)),
      duplicate: takeAnswer(node, outlook, { rules, isDuplicate: true }),
    },
  );
}

/** What a runtime does by itself. */
function alone(node: Node | undefined): Stepped | undefined {
  return node === undefined ? undefined : { node };
}

function stepsOf(
  { world, index, rules }: { world: World; index: number; rules: Rules },
  results: Record<string, Stepped | undefined>,
): Steps {
  return Object.entries(results).flatMap(([name, stepped]): Steps => {
    if (stepped === undefined) return [];
    const { node, event } = stepped;
    const nodes = world.nodes.with(index, node);
    const daemon = told(world.daemon, { event, index, rules });
    refuseUnready(world.daemon, { daemon, nodes });
    return [[`${name} ${index}`, { ...world, nodes, daemon }]];
  });
}

function move(world: World, event: RolloutEvent, rules: Rules): World {
  const daemon = moved(world.daemon, event, rules);
  refuseUnready(world.daemon, { daemon, nodes: world.nodes });
  return { ...world, daemon };
}
