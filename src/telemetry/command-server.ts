import { z } from "zod";
import { AppError, type Clock, errorMessage, isAppError } from "../core/index.js";
import { type CommandResponse, leaseMsSchema } from "../protocol/index.js";
import type { Message } from "./intake.js";
import { readMessage } from "./read-message.js";
import type { Rejections } from "./rejections.js";
import type { Topic } from "./topics.js";

const RUNNING_MAX = 16;
/** Ids of answered commands that are remembered, to answer a repeated one again instead of running it twice. */
const ANSWERED_MAX = 256;
const ERROR_TEXT_MAX = 4_000;

type ResponseTopic = Topic & { kind: "response" };
type CommandTopic = Topic & { kind: "command" };

/** Runs a command until `signal` ends it; its result is the answer's data, what it throws the answer's error. */
export type CommandHandler = (
  command: Readonly<Record<string, unknown>> & { id: string },
  /** Nobody waits for the answer any more. */
  signal: AbortSignal,
) => Promise<unknown>;

const commandSchema = z.looseObject({
  id: z.string().min(1).max(64),
  leaseMs: leaseMsSchema.optional(),
});

type Command = z.infer<typeof commandSchema>;

interface RunningCommand {
  gone: AbortController;
  heardAtMs: number;
}

interface CommandServerDeps {
  clock: Clock;
  rejections: Rejections;
}

/**
 * Runs the commands of others, each id once. One with a lease is repeated by whoever waits for it; it is
 * ended once it was not for that long, or came with a lease of 0.
 */
export class CommandServer {
  readonly #handlers: ReadonlyMap<string, CommandHandler>;
  readonly #deps: CommandServerDeps;
  readonly #reply: (topic: ResponseTopic, payload: string) => Promise<boolean>;
  readonly #running = new Map<string, RunningCommand>();
  readonly #answered = new Map<string, { topic: ResponseTopic; payload: string; sent: boolean }>();

  constructor(
    handlers: ReadonlyMap<string, CommandHandler>,
    deps: CommandServerDeps,
    reply: (topic: ResponseTopic, payload: string) => Promise<boolean>,
  ) {
    this.#handlers = handlers;
    this.#deps = deps;
    this.#reply = reply;
  }

  /** The connection is back: answers that did not get out go now. */
  resend(): void {
    for (const [id, answer] of this.#answered) if (!answer.sent) void this.#deliver(id);
  }

  receive(topic: CommandTopic, message: Message, bytesMax: number): void {
    const { rejections } = this.#deps;
    const command = readMessage(message, commandSchema, { bytesMax, rejections });
    if (command === undefined) return;
    const { id, leaseMs } = command;
    const running = this.#running.get(id);
    if (running !== undefined) {
      running.heardAtMs = this.#deps.clock.monotonicMs();
      if (leaseMs === 0) running.gone.abort();
      return;
    }
    if (leaseMs === 0) return;
    if (this.#answered.has(id)) {
      void this.#deliver(id);
      return;
    }
    const response: ResponseTopic = { kind: "response", node: topic.node, name: topic.name };
    if (this.#running.size >= RUNNING_MAX) {
      const error = new AppError("COMMAND_FAILED", `${RUNNING_MAX} commands are running already`);
      this.#remember(response, errorResponse(id, error));
      void this.#deliver(id);
      return;
    }
    void this.#perform(response, command);
  }

  async #perform(topic: ResponseTopic, command: Command): Promise<void> {
    const { id, leaseMs } = command;
    const gone = new AbortController();
    const running = { gone, heardAtMs: this.#deps.clock.monotonicMs() };
    const done = new AbortController();
    this.#running.set(id, running);
    if (leaseMs !== undefined) void this.#watchLease(running, leaseMs, done.signal);
    const answer = await this.#run(topic.name, command, gone.signal);
    done.abort();
    this.#running.delete(id);
    // Nobody waits; one who was only cut off asks again, and has it done then.
    if (gone.signal.aborted) return;
    this.#remember(topic, answer);
    await this.#deliver(id);
  }

  async #watchLease(running: RunningCommand, leaseMs: number, done: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!done.aborted) {
      const leftMs = running.heardAtMs + leaseMs - clock.monotonicMs();
      if (leftMs <= 0) {
        running.gone.abort();
        return;
      }
      await clock.sleep(leftMs, done);
    }
  }

  async #run(name: string, command: Command, signal: AbortSignal): Promise<CommandResponse> {
    try {
      const handler = this.#handlers.get(name);
      if (handler === undefined) {
        throw new AppError("COMMAND_FAILED", `this node knows no command ${name}`);
      }
      return { id: command.id, status: "ok", data: (await handler(command, signal)) ?? null };
    } catch (error) {
      return errorResponse(command.id, error);
    }
  }

  #remember(topic: ResponseTopic, response: CommandResponse): void {
    const oldest = this.#answered.keys().next();
    if (this.#answered.size >= ANSWERED_MAX && oldest.done !== true) {
      this.#answered.delete(oldest.value);
    }
    this.#answered.set(response.id, { topic, payload: JSON.stringify(response), sent: false });
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
