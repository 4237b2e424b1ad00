import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { setPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { AppError, type Clock, type Logger, printable } from "../core/index.js";
import { parseValue } from "../protocol/index.js";
import { watchMemory } from "./memory-watch.js";
import { type ChildConfig, type RequestBody, responseSchema } from "./messages.js";
import type { InferenceOptions } from "./options.js";

/** How much of what the child said last is kept for the error that names its death. */
const STDERR_TAIL_CHARACTERS = 2_000;
/**
 * Freed memory is kept for the next allocation, in huge pages where the system has them. A child
 * lives for one piece of work, and page faults are most of what a cold model costs otherwise: with
 * a trim threshold of 128 KiB, blocks took 2.5 to 10 times as long as the same layers within the
 * whole model, and no two processes agreed. All threads share one arena: of further ones glibc returns
 * whole heaps whatever the threshold. Peak memory is bounded by `memoryLimitMiB` all the same.
 */
const MALLOC_KEEPS_MEMORY = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_TRIM_THRESHOLD_: "1073741824",
  MALLOC_MMAP_THRESHOLD_: "1073741824",
  GLIBC_TUNABLES: "glibc.malloc.hugetlb=1",
};
const READY = -1;

export interface WorkerDeps {
  log: Logger;
  clock: Clock;
  /** Kills the child; what waits is rejected with ABORTED. */
  signal?: AbortSignal | undefined;
  /** Where optimised models are kept for later children, and how much of them; absent: nowhere. */
  keep?: ChildConfig["keep"];
}

/** One child process that answers requests one at a time. */
export interface WorkerProcess {
  readonly pid: number;
  /** Rejects with the child's own error, or with the cause of its death. */
  ask(body: RequestBody): Promise<unknown>;
  /** Kills the child at once and resolves when it is gone and its files are removed. Idempotent. */
  stop(): Promise<void>;
}

interface Waiter {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

/**
 * Forks the child and waits until ONNX Runtime is loaded in it.
 * @throws AppError INFERENCE_CRASHED | INFERENCE_TIMEOUT | INFERENCE_MEMORY | ABORTED
 */
export async function startWorkerProcess(
  options: InferenceOptions,
  deps: WorkerDeps,
): Promise<WorkerProcess> {
  // Throws in a broken installation, and then there must be no directory to leave behind.
  const program = createRequire(import.meta.url).resolve("#inference/child");
  const temporaryDirectory = await mkdtemp(join(tmpdir(), "scissiond-model-"));
  const child = forkChild(program, options, { temporaryDirectory, keep: deps.keep });
  const waiters = new Map<number, Waiter>();
  const life = watchLife(child, { waiters, temporaryDirectory });
  const ended = new AbortController();
  void life.gone.then(() => ended.abort());
  const abort = (): void => life.kill(abortedError());
  // A signal that aborted while the directory was made tells no listener any more.
  if (deps.signal?.aborted === true) abort();
  deps.signal?.addEventListener("abort", abort, { once: true });
  void life.gone.then(() => deps.signal?.removeEventListener("abort", abort));

  const wait = (id: number, what: string): Promise<unknown> => {
    const timeoutMs = id === READY ? options.startTimeoutMs : options.requestTimeoutMs;
    const settled = new AbortController();
    const answer = new Promise<unknown>((resolve, reject) => {
      if (life.cause === undefined) waiters.set(id, { resolve, reject });
      else void life.gone.then(() => reject(life.cause ?? abortedError()));
    }).finally(() => settled.abort());
    void deps.clock.sleep(timeoutMs, settled.signal).then(() => {
      if (!settled.signal.aborted) life.kill(timeoutError(what, timeoutMs));
    });
    return answer;
  };

  const pid = child.pid;
  if (pid !== undefined) {
    if (options.niceness > 0) lowerPriority(pid, options.niceness, deps.log);
    const watch = {
      pid,
      limitMiB: options.memoryLimitMiB,
      pollMs: options.memoryPollMs,
      onExceeded: (residentMiB: number) => life.kill(memoryError(residentMiB, options)),
    };
    void watchMemory(watch, { log: deps.log, clock: deps.clock, signal: ended.signal });
  }
  await wait(READY, "starting ONNX Runtime");
  if (pid === undefined) throw new AppError("INTERNAL", "a child process that runs has no id");

  let nextId = 0;
  let tail: Promise<unknown> = Promise.resolve();
  return {
    pid,
    ask(body) {
      const send = (): Promise<unknown> => {
        const id = nextId++;
        const answer = wait(id, DESCRIPTIONS[body.kind]);
        if (child.connected) child.send({ id, body }, () => undefined);
        return answer;
      };
      const answer = tail.then(send, send);
      tail = answer.catch(() => undefined);
      return answer;
    },
    stop() {
      life.kill(abortedError());
      return life.gone;
    },
  };
}

const DESCRIPTIONS = {
  open: "opening the model",
  measure: "measuring the model",
  turn: "measuring parts of the model",
  profile: "measuring the model with a profile",
  probe: "probing an execution provider",
  sidecars: "reading the model",
  compare: "comparing the parts with the whole model",
  extract: "extracting a part of the model",
} as const satisfies Record<RequestBody["kind"], string>;

function forkChild(
  program: string,
  options: InferenceOptions,
  { temporaryDirectory, keep }: Pick<ChildConfig, "temporaryDirectory" | "keep">,
): ChildProcess {
  const config: ChildConfig = {
    threads: options.threads,
    executionProviders: options.executionProviders,
    modelBytesMax: options.modelBytesMax,
    memoryLimitMiB: options.memoryLimitMiB,
    inputSeed: options.inputSeed,
    relativeTolerance: options.relativeTolerance,
    temporaryDirectory,
    ...(keep === undefined ? {} : { keep }),
  };
  return fork(program, [JSON.stringify(config)], {
    // Nothing is inherited: no NOTIFY_SOCKET, no secrets, no NODE_OPTIONS of the parent.
    env: { ...MALLOC_KEEPS_MEMORY, ...options.environment },
    execArgv: [],
    // Ours may be deleted under us, and what a dying process drops here goes with the directory.
    cwd: temporaryDirectory,
    serialization: "json",
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

interface Life {
  /** Why the child ends or ended; undefined while it is well. */
  readonly cause: AppError | undefined;
  /** Resolves when the process is gone and its temporary directory is removed. */
  readonly gone: Promise<void>;
  /** The first cause counts. */
  kill(cause: AppError): void;
}

/** Routes answers to their waiters, and the cause of death to all that still wait. */
function watchLife(
  child: ChildProcess,
  context: { waiters: Map<number, Waiter>; temporaryDirectory: string },
): Life {
  const { waiters } = context;
  let cause: AppError | undefined;
  let lastWords = "";
  const listen = (chunk: string): void => {
    lastWords = (lastWords + chunk).slice(-STDERR_TAIL_CHARACTERS);
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", listen);
  }
  const kill = (reason: AppError): void => {
    cause ??= reason;
    child.kill("SIGKILL");
  };
  const rejectAll = (): void => {
    for (const [id, waiter] of waiters) {
      waiters.delete(id);
      waiter.reject(cause);
    }
  };
  child.on("message", (message) => {
    const error = deliver(message, waiters);
    if (error !== undefined) kill(error);
  });
  const gone = new Promise<void>((resolve) => {
    child.on("error", (error) => {
      cause ??= new AppError("INFERENCE_CRASHED", `no child process: ${error.message}`, {
        cause: error,
      });
      if (child.pid === undefined) resolve();
    });
    child.on("close", (code, signal) => {
      cause ??= crashError(code, signal, lastWords);
      resolve();
    });
  }).then(async () => {
    await rm(context.temporaryDirectory, { recursive: true, force: true }).catch(() => undefined);
    rejectAll();
  });
  return {
    get cause() {
      return cause;
    },
    gone,
    kill,
  };
}

/** Settles the waiter that a message answers; an error where the message is none of ours. */
function deliver(message: unknown, waiters: Map<number, Waiter>): AppError | undefined {
  const parsed = parseValue(message, responseSchema);
  if (!parsed.ok)
    return new AppError("INTERNAL", `message of the model's child: ${parsed.message}`);
  const response = parsed.value;
  const id = response.type === "ready" ? READY : response.id;
  const waiter = waiters.get(id);
  waiters.delete(id);
  if (response.type === "failure") waiter?.reject(new AppError(response.code, response.message));
  else waiter?.resolve(response.type === "result" ? response.value : undefined);
  return undefined;
}

function lowerPriority(pid: number, niceness: number, log: Logger): void {
  try {
    setPriority(pid, niceness);
  } catch (error) {
    log.warn({ err: error, niceness }, "the priority of the model's process stays as it was");
  }
}

function abortedError(): AppError {
  return new AppError("ABORTED", "the work on the model was stopped");
}

function timeoutError(what: string, timeoutMs: number): AppError {
  const seconds = timeoutMs / 1_000;
  return new AppError(
    "INFERENCE_TIMEOUT",
    `${what} took longer than ${seconds} s and was stopped; give it more time if it is meant to be this slow`,
  );
}

function memoryError(residentMiB: number, options: InferenceOptions): AppError {
  return new AppError(
    "INFERENCE_MEMORY",
    `the model used ${Math.round(residentMiB)} MiB of memory, over the limit of ${options.memoryLimitMiB} MiB, and was stopped; raise memoryLimitMiB if it is meant to be this large`,
  );
}

function crashError(code: number | null, signal: string | null, lastWords: string): AppError {
  const how = signal === null ? `ended with code ${code ?? "?"}` : `was killed by ${signal}`;
  const hint = signal === "SIGKILL" ? " (perhaps the system ran out of memory)" : "";
  const said = printable(lastWords.trim().replaceAll(/\s*\n\s*/g, " | "), STDERR_TAIL_CHARACTERS);
  return new AppError(
    "INFERENCE_CRASHED",
    `the process that ran the model ${how}${hint}${said === "" ? "" : `; it last said: ${said}`}`,
  );
}
