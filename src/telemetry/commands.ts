import { AppError, type Clock, isErrorCode, type Random } from "../core/index.js";
import { commandResponseSchema } from "../protocol/index.js";
import type { Message } from "./intake.js";
import { readMessage } from "./read-message.js";
import type { Rejections } from "./rejections.js";
import type { Topic } from "./topics.js";

const PENDING_MAX = 1_000;
/** The lease of work that takes long: so long it goes on after whoever asked for it has died. */
export const LEASE_MS = 30_000;
/** A command is repeated so often within its lease, so that one lost message does not end it. */
const REPEATS_PER_LEASE = 3;

type ResponseTopic = Topic & { kind: "response" };
type CommandTopic = Topic & { kind: "command" };

export interface CallOptions {
  timeoutMs: number;
  /** The node ends the work once nobody has asked for it for this long; absent: it never does. */
  leaseMs?: number;
  signal?: AbortSignal;
}

interface Pending {
  topic: CommandTopic;
  payload: string;
  /** What tells the node that nobody waits any more; undefined: it need not know. */
  giveUp: string | undefined;
  settle(outcome: { ok: true; data: unknown } | { ok: false; error: AppError }): void;
}

/** Sends commands to nodes and awaits their answers. */
export class CommandCaller {
  readonly #pending = new Map<string, Pending>();
  readonly #deps: { clock: Clock; random: Random; rejections: Rejections };
  readonly #send: (topic: CommandTopic, payload: string) => void;

  constructor(
    deps: { clock: Clock; random: Random; rejections: Rejections },
    send: (topic: CommandTopic, payload: string) => void,
  ) {
    this.#deps = deps;
    this.#send = send;
  }

  /** Resolves with the answer's data. COMMAND_FAILED, COMMAND_TIMEOUT, NODE_LOST, ABORTED. */
  async call(
    topic: CommandTopic,
    body: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown> {
    const what = `command ${topic.name} to ${topic.node}`;
    if (options.signal?.aborted === true) throw new AppError("ABORTED", `${what} was not sent`);
    if (this.#pending.size >= PENDING_MAX) {
      throw new AppError("COMMAND_FAILED", `${what} was not sent: ${PENDING_MAX} await an answer`);
    }
    const id = this.#newId();
    const { leaseMs } = options;
    const lease = leaseMs === undefined ? {} : { leaseMs };
    const done = new AbortController();
    const answer = new Promise<unknown>((resolve, reject) => {
      const pending: Pending = {
        topic,
        payload: JSON.stringify({ ...body, ...lease, id }),
        giveUp: leaseMs === undefined ? undefined : JSON.stringify({ ...body, leaseMs: 0, id }),
        settle: (outcome) => (outcome.ok ? resolve(outcome.data) : reject(outcome.error)),
      };
      this.#pending.set(id, pending);
      this.#send(topic, pending.payload);
    });
    const fail = (error: AppError): void => {
      const pending = this.#pending.get(id);
      if (pending !== undefined) this.#giveUp(pending, error);
    };
    const abort = (): void => fail(new AppError("ABORTED", `${what} was given up`));
    options.signal?.addEventListener("abort", abort, { once: true });
    void this.#deps.clock.sleep(options.timeoutMs, done.signal).then(() => {
      const text = `${what} was not answered within ${options.timeoutMs} ms`;
      if (!done.signal.aborted) fail(new AppError("COMMAND_TIMEOUT", text));
    });
    if (leaseMs !== undefined) void this.#keepAsking(id, leaseMs, done.signal);
    try {
      return await answer;
    } finally {
      done.abort();
      options.signal?.removeEventListener("abort", abort);
      this.#pending.delete(id);
    }
  }

  /** The connection is back: an answer may have been missed, and nodes answer a repeated id again. */
  resend(): void {
    for (const { topic, payload } of this.#pending.values()) this.#send(topic, payload);
  }

  /** Whatever the node was doing for us is gone. */
  nodeRestarted(node: string): void {
    for (const pending of this.#pending.values()) {
      if (pending.topic.node !== node) continue;
      const text = `${node} was restarted during the command ${pending.topic.name}`;
      pending.settle({ ok: false, error: new AppError("NODE_LOST", text) });
    }
  }

  stop(): void {
    for (const pending of this.#pending.values()) {
      const text = `the command ${pending.topic.name} was given up: the program is stopping`;
      this.#giveUp(pending, new AppError("ABORTED", text));
    }
  }

  receive(topic: ResponseTopic, message: Message, bytesMax: number): void {
    const response = readMessage(message, commandResponseSchema, {
      bytesMax,
      rejections: this.#deps.rejections,
    });
    if (response === undefined) return;
    const pending = this.#pending.get(response.id);
    if (pending?.topic.node !== topic.node || pending.topic.name !== topic.name) {
      this.#deps.rejections.add("unawaited", message.topic, "no command awaits this answer");
      return;
    }
    if (response.status === "ok") {
      pending.settle({ ok: true, data: response.data });
      return;
    }
    const { code, message: text } = response.error;
    const failure = `${topic.node} could not ${topic.name}: ${text} (${code})`;
    const cause = isErrorCode(code) ? new AppError(code, text) : undefined;
    pending.settle({ ok: false, error: new AppError("COMMAND_FAILED", failure, { cause }) });
  }

  async #keepAsking(id: string, leaseMs: number, done: AbortSignal): Promise<void> {
    for (;;) {
      await this.#deps.clock.sleep(leaseMs / REPEATS_PER_LEASE, done);
      const pending = this.#pending.get(id);
      if (done.aborted || pending === undefined) return;
      this.#send(pending.topic, pending.payload);
    }
  }

  #giveUp(pending: Pending, error: AppError): void {
    if (pending.giveUp !== undefined) this.#send(pending.topic, pending.giveUp);
    pending.settle({ ok: false, error });
  }

  #newId(): string {
    const word = (): string =>
      Math.floor(this.#deps.random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return word() + word() + word() + word();
  }
}
