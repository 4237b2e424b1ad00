import type { Clock, Logger, Random } from "../core/index.js";
import type { Control, Decision, PlanDocument, ReportMessage, Status } from "../protocol/index.js";
import type { ClientOptions } from "./options.js";
import type { RolloutOutcome } from "./rollout.js";

/** All active plans at one moment, at most one of each pipeline, all of `epoch`. Never changed once offered. */
export interface Snapshot {
  readonly epoch: string;
  readonly plans: readonly PlanDocument[];
}

/** A file that an artifact route serves. */
export type ArtifactRequest =
  | { kind: "model"; modelSha256: string }
  | { kind: "sidecar"; modelSha256: string; sidecarSha256: string }
  | { kind: "partition"; modelSha256: string; partitionSha256: string };

/** What the daemon answers plain HTTP requests with. Calls are synchronous looks at memory. */
export interface PublisherApi {
  status(): Status;
  /** What stands in the way of readiness, in plain words; empty when ready. */
  problems(): readonly string[];
  /** Newest first. */
  decisions(): readonly Decision[];
  /** Path of the file; undefined where the daemon knows none of that hash. */
  artifactPath(request: ArtifactRequest): string | undefined;
  /** Does what an operator asks for. Rejects with USAGE where that makes no sense. */
  control(pipeline: string, order: { command: Control; by: string }): Promise<void>;
}

/** A subscriber as status and rollout see it. */
export interface SubscriberInfo {
  readonly role: "runtime" | "observer";
  readonly node: string | undefined;
  /** What it holds for sure: acknowledged by a runtime, or taken off the socket for an observer. */
  readonly revisions: ReadonlyMap<string, number>;
}

/** A runtime refused these revisions and keeps what it had. `reason` is the runtime's own text. */
export interface Rejection {
  readonly node: string | undefined;
  readonly revisions: ReadonlyMap<string, number>;
  readonly reason: string;
}

/** A rollout under way. */
export interface RolloutInfo {
  readonly pipeline: string;
  readonly revision: number;
  readonly phase: "preparing" | "committing" | "activating";
  /** Nodes that have not answered yet. */
  readonly waitingFor: readonly string[];
}

export type RefusalCause =
  | "wrong-path"
  | "wrong-subprotocol"
  | "bad-handshake"
  | "origin"
  | "unauthorized"
  | "too-many"
  | "too-many-from-address"
  /** More sockets of all kinds than the daemon holds: closed without a word. */
  | "too-many-sockets"
  /** What came was no HTTP, or more headers than are taken, or came too slowly. */
  | "bad-http"
  | "headers-too-large"
  | "headers-timeout";

export type CloseCause =
  | "client"
  | "hello-timeout"
  | "protocol-error"
  | "too-slow"
  | "silent"
  | "replaced"
  | "forbidden"
  | "stopping";

export type FrameType =
  | "snapshot"
  | "update"
  | "removed"
  | "prepare"
  | "activate"
  | "abort"
  | "retire"
  | "heartbeat";

/** For metrics. Every field is from a closed set, so each may become a label. */
export type PublisherEvent =
  | { kind: "frame-sent"; type: FrameType }
  | { kind: "answer"; result: "ack" | "ready" | "active" | "reject" | "stale" }
  /** `foreign`: about a node that is not the runtime's own; `limited`: more than the rate allows. */
  | { kind: "report"; result: "accepted" | "foreign" | "limited" }
  | { kind: "rollout"; result: RolloutOutcome["kind"] }
  | { kind: "connection-refused"; cause: RefusalCause }
  /** A plain request was answered with an error. */
  | { kind: "request-refused"; status: number }
  | { kind: "connection-closed"; cause: CloseCause };

export interface PublisherDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  metrics: { contentType: string; render(): Promise<string> };
  api: PublisherApi;
  /** A runtime refused a plan, whether it was to be prepared, activated or taken at once. */
  onReject?(rejection: Rejection): void;
  /** Measured by the runtime of this node, about this node. */
  onReport?(node: string, report: ReportMessage): void;
  /** A runtime of this node has subscribed. */
  onRuntime?(node: string): void;
  onEvent?(event: PublisherEvent): void;
}

export interface Publisher {
  readonly port: number;
  /** Makes this the state every subscriber is brought to. Newest wins; returns before anything is sent. */
  offer(snapshot: Snapshot): void;
  /** The nodes of this plan whose runtimes are subscribed: those a rollout would wait for. */
  participants(plan: PlanDocument): readonly string[];
  /**
   * Brings a plan into force at all its participants at once: has them load it, calls `commit` when all
   * are ready, and tells them to switch. `commit` makes the decision durable and offers the new
   * snapshot; where it rejects, nobody switches. One rollout per pipeline at a time. Never rejects.
   */
  rollOut(plan: PlanDocument, commit: () => Promise<void>): Promise<RolloutOutcome>;
  /** Gives up the rollout of this pipeline, if it is not beyond the point of no return. */
  cancelRollout(pipeline: string, reason: string): void;
  rollouts(): readonly RolloutInfo[];
  /** Who may connect from now on; connections of others are closed. */
  setClients(clients: readonly ClientOptions[]): void;
  /** How many clients have subscribed and are connected. */
  subscribers(): number;
  subscriberList(): readonly SubscriberInfo[];
  /** Closes every client with 1001, then the port. Idempotent. */
  stop(): Promise<void>;
}
