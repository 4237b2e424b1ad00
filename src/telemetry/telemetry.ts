import { AppError, type Clock, type Logger, type Random } from "../core/index.js";
import type {
  BenchmarkProgress,
  LinkReport,
  NodeState,
  PlanDocument,
  Profile,
} from "../protocol/index.js";
import { type CommandHandler, CommandServer } from "./command-server.js";
import { type CallOptions, CommandCaller } from "./commands.js";
import { Connection } from "./connection.js";
import { Intake, type IntakeHandlers, type Message } from "./intake.js";
import type { MqttOptions } from "./options.js";
import { type ProgressHandler, ProgressIntake } from "./progress-intake.js";
import { type RejectionCause, Rejections } from "./rejections.js";
import { formatTopic, linkFiltersOf, TopicReader, topicFilter } from "./topics.js";

export interface TelemetrySession {
  site: string;
  /** With site and node the client id: it must be the only one of its kind. Default: daemon. */
  role?: "daemon" | "agent" | "runtime";
  /** Published at every connect; with status offline it is the last will. */
  state: NodeState;
}

export interface TelemetryHandlers extends IntakeHandlers {
  onConnection?(connected: boolean): void;
  onProgress?: ProgressHandler;
  /** Commands that this node obeys, by name. */
  commands?: ReadonlyMap<string, CommandHandler>;
}

export interface TelemetryDeps {
  log: Logger;
  clock: Clock;
  random: Random;
  handlers: TelemetryHandlers;
}

export interface Telemetry {
  readonly connected: boolean;
  /** The broker's address, without login or query. */
  readonly broker: string;
  /** Why there is no connection, in plain words; undefined while there is one. */
  readonly problem: string | undefined;
  setState(state: NodeState): void;
  /** Sent now or never; false where it was not. */
  publishLink(from: string, to: string, report: LinkReport): boolean;
  publishProfile(profile: Profile): void;
  /** Sent now or never. */
  publishProgress(progress: BenchmarkProgress): void;
  /** Null clears the mirror of a pipeline that is gone. */
  publishPlan(pipeline: string, plan: PlanDocument | null): void;
  /**
   * Sends a command (`body` without its id) and resolves with the answer's data.
   * BROKER_UNAVAILABLE, COMMAND_FAILED, COMMAND_TIMEOUT, ABORTED.
   */
  command(
    node: string,
    name: string,
    body: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown>;
  /** Dropped messages by cause. */
  counters(): Record<RejectionCause, number>;
  /** Publishes `offline`, disconnects. */
  stop(): Promise<void>;
}

/**
 * Joins the site's telemetry. Returns at once and stays connected for ever: what is wrong with the
 * broker is told by `problem` and the log, never by an exception.
 */
export function connectTelemetry(
  options: MqttOptions,
  session: TelemetrySession,
  deps: TelemetryDeps,
): Promise<Telemetry> {
  return Promise.resolve(new SiteTelemetry(options, session, deps));
}

class SiteTelemetry implements Telemetry {
  readonly broker: string;
  readonly #site: string;
  readonly #node: string;
  readonly #bytesMax: number;
  readonly #deps: TelemetryDeps;
  readonly #topics: TopicReader;
  readonly #rejections: Rejections;
  readonly #caller: CommandCaller;
  readonly #server: CommandServer;
  readonly #intake: Intake;
  readonly #progress: ProgressIntake;
  readonly #connection: Connection;
  #state: NodeState;
  #stopped = false;

  constructor(options: MqttOptions, session: TelemetrySession, deps: TelemetryDeps) {
    const { site, role = "daemon", state } = session;
    const { log, clock, random, handlers } = deps;
    this.broker = withoutSecrets(options.url);
    this.#site = site;
    this.#node = state.node;
    this.#state = state;
    this.#bytesMax = options.limits.payloadBytesMax;
    this.#deps = deps;
    this.#topics = new TopicReader(site);
    this.#rejections = new Rejections(log);
    this.#caller = new CommandCaller(
      { clock, random, rejections: this.#rejections },
      (topic, payload) => void this.#connection.send(formatTopic(site, topic), payload),
    );
    this.#server = new CommandServer(
      handlers.commands ?? new Map(),
      { clock, rejections: this.#rejections },
      (topic, payload) => this.#connection.send(formatTopic(site, topic), payload),
    );
    this.#intake = new Intake(site, options.limits, {
      clock,
      rejections: this.#rejections,
      handlers,
      onRestart: (node) => this.#caller.nodeRestarted(node),
    });
    this.#progress = new ProgressIntake(clock, this.#rejections, handlers);
    this.#connection = new Connection(
      {
        mqtt: options,
        clientId: `scission-${site}-${state.node}-${role}`,
        will: { topic: this.#stateTopic, payload: toJson({ ...state, status: "offline" }) },
        filters: filtersOf(session, handlers),
      },
      {
        log,
        clock,
        random,
        onMessage: (message) => this.#receive(message),
        onConnection: (connected) => this.#onConnection(connected),
      },
    );
    this.setState(state);
  }

  get connected(): boolean {
    return this.#connection.connected;
  }

  get problem(): string | undefined {
    return this.#connection.problem;
  }

  setState(state: NodeState): void {
    this.#state = state;
    this.#connection.retain(this.#stateTopic, toJson(state));
  }

  publishLink(from: string, to: string, report: LinkReport): boolean {
    const topic = formatTopic(this.#site, { kind: "link", from, to });
    return this.#connection.report(topic, toJson(report));
  }

  publishProfile(profile: Profile): void {
    const { sha256: modelSha256 } = profile.model;
    const topic = formatTopic(this.#site, { kind: "profile", node: this.#node, modelSha256 });
    this.#connection.retain(topic, toJson(profile));
  }

  publishProgress(progress: BenchmarkProgress): void {
    const topic = formatTopic(this.#site, { kind: "progress", node: this.#node });
    this.#connection.report(topic, toJson(progress));
  }

  publishPlan(pipeline: string, plan: PlanDocument | null): void {
    const topic = formatTopic(this.#site, { kind: "partitions", pipeline });
    this.#connection.retain(topic, plan === null ? "" : toJson(plan));
  }

  // eslint-disable-next-line max-params -- reads as the topic does: node, name, body
  async command(
    node: string,
    name: string,
    body: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown> {
    if (!this.connected) {
      const text = `cannot send ${name} to ${node}: ${this.problem ?? "not connected"}`;
      throw new AppError("BROKER_UNAVAILABLE", text);
    }
    return this.#caller.call({ kind: "command", node, name }, body, options);
  }

  counters(): Record<RejectionCause, number> {
    return this.#rejections.counts();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#caller.stop();
    this.#intake.stop();
    await this.#connection.stop();
  }

  get #stateTopic(): string {
    return formatTopic(this.#site, { kind: "state", node: this.#node });
  }

  #onConnection(connected: boolean): void {
    if (connected) {
      this.#caller.resend();
      this.#server.resend();
    }
    this.#deps.handlers.onConnection?.(connected);
  }

  #receive(message: Message): void {
    // Our own farewell comes back to us, and must not be taken for somebody else's.
    if (this.#stopped) return;
    const topic = this.#topics.read(message.topic);
    switch (topic?.kind) {
      case "state":
        // A will of an earlier connection that arrives late would leave us offline for everybody.
        if (topic.node === this.#node && isOffline(message)) this.setState(this.#state);
        else this.#intake.state(topic, message);
        return;
      case "link":
        this.#intake.link(topic, message);
        return;
      case "profile":
        this.#intake.profile(topic, message);
        return;
      case "progress":
        this.#progress.receive(topic, message);
        return;
      case "command":
        this.#server.receive(topic, message, this.#bytesMax);
        return;
      case "response":
        this.#caller.receive(topic, message, this.#bytesMax);
        return;
      case "partitions":
      case undefined:
        this.#rejections.add(
          "topic",
          message.topic,
          "no such topic, or a name outside a-z, 0-9 and -",
        );
    }
  }
}

/** A node hears only what it has a handler for (an agent only of its own links), its own state, and the answers to what it may ask. */
function filtersOf(session: TelemetrySession, handlers: TelemetryHandlers): string[] {
  const { site, role = "daemon", state } = session;
  const filters = [
    handlers.onNodeState === undefined
      ? formatTopic(site, { kind: "state", node: state.node })
      : topicFilter(site, "state"),
  ];
  if (handlers.onLink !== undefined) {
    const own = linkFiltersOf(site, state.node);
    filters.push(...(role === "agent" ? own : [topicFilter(site, "link")]));
  }
  if (handlers.onProfile !== undefined) filters.push(topicFilter(site, "profile"));
  if (handlers.onProgress !== undefined) filters.push(topicFilter(site, "progress"));
  if (handlers.commands !== undefined && handlers.commands.size > 0) {
    filters.push(topicFilter(site, { commandsOf: state.node }));
  }
  if (role === "daemon") filters.push(topicFilter(site, "response"));
  return filters;
}

const OFFLINE_TEXT = '"status":"offline"';
const OWN_STATE_BYTES_MAX = 1_048_576;

function isOffline(message: Message): boolean {
  if (message.payload.byteLength > OWN_STATE_BYTES_MAX) return false;
  return Buffer.from(message.payload).includes(OFFLINE_TEXT);
}

function toJson(value: unknown): string {
  return JSON.stringify(value);
}

function withoutSecrets(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  url.search = "";
  return url.href.replace(/\/$/, "");
}
