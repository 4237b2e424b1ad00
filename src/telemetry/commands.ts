import { z } from "zod";
import { AppError, type Clock, errorMessage, isAppError, type Random } from "../core/index.js";
import { type CommandResponse, commandResponseSchema, parseJson } from "../protocol/index.js";
import { type Message, payloadText } from "./intake.js";
import type { Rejections } from "./rejections.js";
import type { Topic } from "./topics.js";

const PENDING_MAX = 1_000;
const RUNNING_MAX = 16;
/** Ids of answered commands that are remembered, to answer a repeated one again instead of running it twice. */
const ANSWERED_MAX = 256;
const ERROR_TEXT_MAX = 4_000;

type ResponseTopic = Topic & { kind: "response" };
type CommandTopic = Topic & { kind: "command" };

export interface CallOptions {
  timeoutMs: number;
  signal?: AbortSignal;
}

interface Pending {
  topic: CommandTopic;
  payload: string;
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

  /** Resolves with the answer's data. COMMAND_FAILED, COMMAND_TIMEOUT, ABORTED. */
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
    const done = new AbortController();
    const answer = new Promise<unknown>((resolve, reject) => {
      const pending: Pending = {
        topic,
        payload: JSON.stringify({ ...body, id }),
        settle: (outcome) => (outcome.ok ? resolve(outcome.data) : reject(outcome.error)),
      };
      this.#pending.set(id, pending);
      this.#send(topic, pending.payload);
    });
    const fail = (error: AppError): void => this.#pending.get(id)?.settle({ ok: false, error });
    const abort = (): void => fail(new AppError("ABORTED", `${what} was given up`));
    options.signal?.addEventListener("abort", abort, { once: true });
    void this.#deps.clock.sleep(options.timeoutMs, done.signal).then(() => {
      const text = `${what} was not answered within ${options.timeoutMs} ms`;
      if (!done.signal.aborted) fail(new AppError("COMMAND_TIMEOUT", text));
    });
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
      pending.settle({ ok: false, error: new AppError("COMMAND_FAILED", text) });
    }
  }

  stop(): void {
    for (const pending of this.#pending.values()) {
      const text = `the command ${pending.topic.name} was given up: the program is stopping`;
      pending.settle({ ok: false, error: new AppError("ABORTED", text) });
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
    pending.settle({ ok: false, error: new AppError("COMMAND_FAILED", failure) });
  }

  #newId(): string {
    const word = (): string =>
      Math.floor(this.#deps.random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return word() + word() + word() + word();
  }
}

/** Runs a command; its result is the answer's data, what it throws the answer's error. */
export type CommandHandler = (
  command: Readonly<Record<string, unknown>> & { id: string },
) => Promise<unknown>;

const commandSchema = z.looseObject({ id: z.string().min(1).max(64) });

/** Runs the commands of others, each id once. */
export class CommandServer {
  readonly #handlers: ReadonlyMap<string, CommandHandler>;
  readonly #rejections: Rejections;
  readonly #reply: (topic: ResponseTopic, payload: string) => Promise<boolean>;
  readonly #running = new Set<string>();
  readonly #answered = new Map<string, { topic: ResponseTopic; payload: string; sent: boolean }>();

  constructor(
    handlers: ReadonlyMap<string, CommandHandler>,
    rejections: Rejections,
    reply: (topic: ResponseTopic, payload: string) => Promise<boolean>,
  ) {
    this.#handlers = handlers;
    this.#rejections = rejections;
    this.#reply = reply;
  }

  /** The connection is back: answers that did not get out go now. */
  resend(): void {
    for (const [id, answer] of this.#answered) if (!answer.sent) void this.#deliver(id);
  }

  receive(topic: CommandTopic, message: Message, bytesMax: number): void {
    const command = readMessage(message, commandSchema, { bytesMax, rejections: this.#rejections });
    if (command === undefined) return;
    const { id } = command;
    if (this.#running.has(id)) return;
    if (this.#answered.has(id)) {
      void this.#deliver(id);
      return;
    }
    const response: ResponseTopic = { kind: "response", node: topic.node, name: topic.name };
    if (this.#running.size >= RUNNING_MAX) {
      const error = new AppError("COMMAND_FAILED", `${RUNNING_MAX} commands are running already`);
      void this.#answer(response, errorResponse(id, error));
      return;
    }
    this.#running.add(id);
    void this.#run(topic.name, command).then((answer) => {
      this.#running.delete(id);
      return this.#answer(response, answer);
    });
  }

  async #run(
    name: string,
    command: Readonly<Record<string, unknown>> & { id: string },
  ): Promise<CommandResponse> {
    try {
      const handler = this.#handlers.get(name);
      if (handler === undefined) {
        throw new AppError("COMMAND_FAILED", `this node knows no command ${name}`);
      }
      return { id: command.id, status: "ok", data: (await handler(command)) ?? null };
    } catch (error) {
      return errorResponse(command.id, error);
    }
  }

  #answer(topic: ResponseTopic, response: CommandResponse): Promise<void> {
    const oldest = this.#answered.keys().next();
    if (this.#answered.size >= ANSWERED_MAX && oldest.done !== true) {
      this.#answered.delete(oldest.value);
    }
    this.#answered.set(response.id, { topic, payload: JSON.stringify(response), sent: false });
    return this.#deliver(response.id);
  }

  async #deliver(id: string): Promise<void> {
    const answer = this.#answered.get(id);
    if (answer === undefined) return;
    answer.sent = await this.#reply(answer.topic, answer.payload);
  }
}

function errorResponse(id: string, error: unknown): CommandResponse {
  const code = isAppError(error) ? error.code : "INTERNAL";
  const message = errorMessage(error).slice(0, ERROR_TEXT_MAX);
  return { id, status: "error", error: { code, message } };
}

/** A command or answer as a value of the schema; what is no such is counted and gives undefined. */
function readMessage<T>(
  message: Message,
  schema: z.ZodType<T>,
  options: { bytesMax: number; rejections: Rejections },
): T | undefined {
  if (message.retained) {
    options.rejections.add(
      "retained",
      message.topic,
      "commands and answers act once, not for ever",
    );
    return undefined;
  }
  if (message.payload.byteLength > options.bytesMax) {
    options.rejections.add("too-large", message.topic, `${message.payload.byteLength} bytes`);
    return undefined;
  }
  const parsed = parseJson(payloadText(message.payload), schema);
  if (parsed.ok) return parsed.value;
  options.rejections.add("malformed", message.topic, parsed.message);
  return undefined;
}
