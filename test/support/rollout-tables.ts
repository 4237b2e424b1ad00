import {
  connect,
  cut,
  type Daemon,
  EVENTS,
  isBehind,
  isSwitching,
  moved,
  nodeName,
  type Outlook,
  permanent,
  propose,
  restarted,
  type Rules,
  says,
  send,
  type Stepped,
  takeAnswer,
  told,
} from "./rollout-daemon.js";
import { begunOn, dropped } from "./rollout-promises.js";
import { drained, heard, type Node, prepared } from "./rollout-runtime.js";
import { daemonText, exchangedDaemon, nodeText } from "./rollout-text.js";
import type { WorldLimits } from "./rollout-world.js";

const NO_EVENT = -1;
const UNKNOWN = -2;
const NONE = -1;

/** Steps of a node, each as two numbers: the node after it, and the index of the event that it means. */
interface NodeMoves {
  steps: Int32Array;
  faults: Int32Array;
}

/** A state of a node, worked out once. Sets of revisions are masks. */
export interface NodeEntry {
  readonly node: Node;
  /** In which place; the permanent nodes are all alike. */
  readonly place: number;
  readonly isConnected: boolean;
  readonly begunOn: number;
  readonly dropped: number;
  readonly loaded: number;
  /** The revisions in force that it would lag behind. */
  readonly behind: number;
  /** By the outlook's number. */
  readonly moves: (NodeMoves | undefined)[];
  /** By the revision of a rollout: the event that its state amounts to. */
  readonly said: Int32Array;
  /** After its connection has ended. */
  cutOff: number;
}

/** A state of the daemon; what follows is worked out once. */
export interface DaemonEntry {
  readonly daemon: Daemon;
  /** Number of its outlook but for the node's part in it. */
  readonly outlook: number;
  readonly isSwitching: boolean;
  readonly participants: number;
  /** By what is said by which node. */
  readonly told: Int32Array;
  /** By what it does itself. */
  readonly own: Int32Array;
  /** By which nodes are connected. */
  readonly proposed: Int32Array;
  /** For which the first two nodes have changed places. */
  exchanged: number;
}

/** What changes the daemon whatever its nodes do. */
const OWN = {
  committed: (daemon: Daemon, rules: Rules): Daemon =>
    moved(daemon, { kind: "committed", deadlineMs: 1 }, rules),
  timeOut: (daemon: Daemon, rules: Rules): Daemon =>
    moved(daemon, { kind: "time", nowMs: Number.POSITIVE_INFINITY }, rules),
  diskFull: (daemon: Daemon, rules: Rules): Daemon =>
    moved(daemon, { kind: "commit-failed", reason: "disk full" }, rules),
  offered: (daemon: Daemon): Daemon => ({
    ...daemon,
    inForce: daemon.rollout?.plan.revision ?? daemon.inForce,
  }),
  restarted,
};
type Own = keyof typeof OWN;
const OWN_NAMES = Object.keys(OWN) as Own[];

const PARTICIPATES = 1;
const LAGS = 2;
const CANDIDATE = 4;
const REVISION_BITS = 3;
const STATES_MAX = 2 ** 16;

/** Everything that one node or the daemon may come to be, numbered, with the steps between. */
export class RolloutTables {
  readonly nodes: NodeEntry[] = [];
  readonly daemons: DaemonEntry[] = [];
  readonly #nodeNumbers = new Map<string, number>();
  readonly #daemonNumbers = new Map<string, number>();
  readonly #limits: WorldLimits;
  readonly #rules: Rules;

  constructor(limits: WorldLimits, rules: Rules) {
    if (limits.revisions >= 2 ** REVISION_BITS) throw new Error("too many revisions");
    this.#limits = limits;
    this.#rules = rules;
  }

  nodeNumber(node: Node, index: number): number {
    const place = index < permanent(this.#limits.nodes) ? 0 : index;
    const text = `${place}${nodeText(node)}`;
    let number = this.#nodeNumbers.get(text);
    if (number === undefined) {
      number = numberFor(this.nodes);
      this.#nodeNumbers.set(text, number);
      this.nodes.push(this.#nodeEntry(named(node, place), place));
    }
    return number;
  }

  daemonNumber(daemon: Daemon): number {
    const text = daemonText(daemon);
    let number = this.#daemonNumbers.get(text);
    if (number === undefined) {
      number = numberFor(this.daemons);
      this.#daemonNumbers.set(text, number);
      this.daemons.push(this.#daemonEntry(daemon));
    }
    return number;
  }

  /** The steps of a node under a daemon, while some node lags or none does. */
  movesOf(node: number, daemon: DaemonEntry, at: { index: number; isLagging: boolean }): NodeMoves {
    const entry = this.nodes[node]!;
    const isParticipant = ((daemon.participants >> at.index) & 1) === 1;
    const outlook = daemon.outlook | (at.isLagging ? LAGS : 0) | (isParticipant ? PARTICIPATES : 0);
    return (entry.moves[outlook] ??= this.#workOut(entry, {
      nodeCount: this.#limits.nodes,
      inForce: daemon.daemon.inForce,
      rollout: daemon.daemon.rollout?.plan.revision ?? 0,
      isCandidate: (outlook & CANDIDATE) !== 0,
      isParticipant,
      isLagging: at.isLagging,
    }));
  }

  /** What an event at this node says to a rollout, as one number; negative where there is none. */
  saying(event: number, index: number): number {
    return event * this.#limits.nodes + index;
  }

  /** The daemon after it was told so. */
  told(daemon: number, saying: number): number {
    const entry = this.daemons[daemon]!;
    if (entry.told[saying] === UNKNOWN) {
      const index = saying % this.#limits.nodes;
      const event = EVENTS[(saying - index) / this.#limits.nodes];
      entry.told[saying] = this.daemonNumber(
        told(entry.daemon, { event, index, rules: this.#rules }),
      );
    }
    return entry.told[saying]!;
  }

  /** The daemon after something that it does itself. */
  own(daemon: number, what: Own): number {
    const entry = this.daemons[daemon]!;
    const key = OWN_NAMES.indexOf(what);
    if (entry.own[key] === UNKNOWN) {
      entry.own[key] = this.daemonNumber(OWN[what](entry.daemon, this.#rules));
    }
    return entry.own[key]!;
  }

  proposed(daemon: number, nodes: readonly number[]): number {
    const entry = this.daemons[daemon]!;
    let connected = 0;
    for (let index = 0; index < nodes.length; index += 1) {
      if (this.nodes[nodes[index]!]!.isConnected) connected |= 1 << index;
    }
    if (entry.proposed[connected] === UNKNOWN) {
      const states = nodes.map((node, index) => named(this.nodes[node]!.node, index));
      const after = propose(entry.daemon, states, this.#limits.revisions);
      entry.proposed[connected] = after === entry.daemon ? NONE : this.daemonNumber(after);
    }
    return entry.proposed[connected]!;
  }

  exchanged(daemon: number): number {
    const entry = this.daemons[daemon]!;
    if (entry.exchanged === UNKNOWN) {
      entry.exchanged = this.daemonNumber(exchangedDaemon(entry.daemon));
    }
    return entry.exchanged;
  }

  /** What a node in this state says to a rollout of the revision. */
  said(node: number, revision: number): number {
    const entry = this.nodes[node]!;
    if (entry.said[revision] === UNKNOWN) {
      const event = says(entry.node, { rollout: revision, nodeCount: this.#limits.nodes });
      entry.said[revision] = event === undefined ? NO_EVENT : EVENTS.indexOf(event);
    }
    return entry.said[revision]!;
  }

  cutOff(node: number): number {
    const entry = this.nodes[node]!;
    if (entry.cutOff === UNKNOWN) {
      const left = cut(entry.node, false, this.#rules)?.node ?? entry.node;
      entry.cutOff = this.nodeNumber(left, entry.place);
    }
    return entry.cutOff;
  }

  #nodeEntry(node: Node, place: number): NodeEntry {
    let behind = 0;
    for (let revision = 1; revision <= this.#limits.revisions; revision += 1) {
      if (isBehind(node, revision, this.#limits.nodes)) behind |= 1 << revision;
    }
    return {
      node,
      place,
      isConnected: node.session !== undefined,
      begunOn: place === 0 ? maskOf(begunOn(node)) : 0,
      dropped: maskOf(dropped(node)),
      loaded: maskOf(node.client.loaded),
      behind,
      moves: [],
      said: new Int32Array(this.#limits.revisions + 1).fill(UNKNOWN),
      cutOff: UNKNOWN,
    };
  }

  #daemonEntry(daemon: Daemon): DaemonEntry {
    const { rollout, inForce } = daemon;
    const isCandidate = rollout?.phase === "preparing" || rollout?.phase === "committing";
    const revisions = (inForce << REVISION_BITS) | (rollout?.plan.revision ?? 0);
    let participants = 0;
    for (let index = 0; index < this.#limits.nodes; index += 1) {
      if (rollout?.participants.has(nodeName(index)) === true) participants |= 1 << index;
    }
    return {
      daemon,
      outlook: (revisions * CANDIDATE * 2) | (isCandidate ? CANDIDATE : 0),
      isSwitching: isSwitching(daemon),
      participants,
      told: new Int32Array(EVENTS.length * this.#limits.nodes).fill(UNKNOWN),
      own: new Int32Array(OWN_NAMES.length).fill(UNKNOWN),
      proposed: new Int32Array(2 ** this.#limits.nodes).fill(UNKNOWN),
      exchanged: UNKNOWN,
    };
  }

  #workOut({ node, place }: NodeEntry, outlook: Outlook): NodeMoves {
    const rules = this.#rules;
    const numbers = (all: readonly (Stepped | undefined)[]): Int32Array =>
      Int32Array.from(
        all.flatMap((stepped) => {
          if (stepped === undefined) return [];
          const { event } = stepped;
          const number = event === undefined ? NO_EVENT : EVENTS.indexOf(event);
          return [this.nodeNumber(stepped.node, place), number];
        }),
      );
    const alone = (after: Node | undefined): Stepped | undefined => after && { node: after };
    return {
      steps: numbers([
        send(node, outlook, rules),
        takeAnswer(node, outlook, { rules, isDuplicate: false }),
        alone(heard(node)),
        alone(prepared(node, true)),
        alone(drained(node)),
        connect(node, nodeName(place), outlook),
      ]),
      faults: numbers([
        cut(node, false, rules),
        cut(node, true, rules),
        alone(prepared(node, false)),
        takeAnswer(node, outlook, { rules, isDuplicate: true }),
      ]),
    };
  }
}

function numberFor(known: readonly unknown[]): number {
  if (known.length >= STATES_MAX) throw new Error("more states than 16 bits can name");
  return known.length;
}

function maskOf(revisions: readonly number[]): number {
  return revisions.reduce((mask, revision) => mask | (1 << revision), 0);
}

/** The state of a node as that of another one in its place. */
function named(node: Node, index: number): Node {
  if (node.session === undefined) return node;
  return { ...node, session: { ...node.session, node: nodeName(index) } };
}
