import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, type Clock, errorMessage, type Logger } from "../core/index.js";
import type { Recorded } from "../protocol/index.js";
import type { RecorderOptions } from "./options.js";

const FLUSH_MS = 1_000;
/** Lines that wait for the disk; more than these are dropped and counted. */
const WAITING_MAX = 10_000;
const OWNER_ONLY = 0o600;

export interface Recorder {
  /** Never waits and never fails: a recording is not worth a plan. */
  write(record: Recorded): void;
  /** Lines that were lost, since the disk was too slow or refused them. */
  dropped(): number;
  /** Writes what waits. */
  stop(): Promise<void>;
}

/**
 * Appends records to `recording.jsonl` in `directory`; one that has grown to its limit becomes
 * `recording.1.jsonl`, and so on. Throws STORE_WRITE_FAILED where the directory cannot be made.
 */
export async function startRecorder(
  options: Omit<RecorderOptions, "enabled"> & { directory: string },
  deps: { log: Logger; clock: Clock },
): Promise<Recorder> {
  const { directory } = options;
  try {
    await mkdir(directory, { recursive: true });
  } catch (cause) {
    throw new AppError(
      "STORE_WRITE_FAILED",
      `${directory} cannot be made: ${errorMessage(cause)}; turn recording.enabled off or free the path`,
      { cause },
    );
  }
  const stop = new AbortController();
  let waiting: string[] = [];
  let dropped = 0;
  let isFailing = false;

  const flush = async (): Promise<void> => {
    const lines = waiting;
    waiting = [];
    if (lines.length === 0) return;
    try {
      await append(options, lines.join(""));
      isFailing = false;
    } catch (error) {
      dropped += lines.length;
      if (!isFailing) deps.log.warn({ err: error }, "recording not written, lines are lost");
      isFailing = true;
    }
  };
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await deps.clock.sleep(FLUSH_MS, stop.signal);
      await flush();
    }
  };
  const running = loop();

  return {
    write(record) {
      if (waiting.length >= WAITING_MAX) dropped += 1;
      else waiting.push(`${JSON.stringify(record)}\n`);
    },
    dropped: () => dropped,
    async stop() {
      stop.abort();
      await running;
      await flush();
    },
  };
}

async function append(
  options: { directory: string; fileBytesMax: number; filesMax: number },
  text: string,
): Promise<void> {
  const path = join(options.directory, fileName(0));
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  if (bytes > 0 && bytes + Buffer.byteLength(text) > options.fileBytesMax) await rotate(options);
  const file = await open(path, "a", OWNER_ONLY);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

async function rotate(options: { directory: string; filesMax: number }): Promise<void> {
  const pathOf = (index: number): string => join(options.directory, fileName(index));
  await rm(pathOf(options.filesMax - 1), { force: true });
  for (let index = options.filesMax - 2; index >= 0; index -= 1) {
    await rename(pathOf(index), pathOf(index + 1)).catch((error: unknown) => {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    });
  }
}

function fileName(index: number): string {
  return index === 0 ? "recording.jsonl" : `recording.${index}.jsonl`;
}
