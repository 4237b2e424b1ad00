import { mkdir } from "node:fs/promises";
import { Low } from "lowdb";
import { AppError, type Clock, errorMessage, type Logger } from "../core/index.js";
import { removeTemporaryFiles } from "./atomic-file.js";
import { STATE_FILES_PREFIX, StateFiles } from "./files.js";
import { acquireLock } from "./lock.js";
import type { StoreOptions } from "./options.js";
import { Soundness } from "./soundness.js";
import { emptyState, type StoreState, withinLimits } from "./state.js";

const UPDATES_WAITING_MAX = 1_000;
const OWNER_ONLY = 0o700;

export interface StoreDeps {
  log: Logger;
  clock: Pick<Clock, "nowMs">;
  /** Unique, of letters, digits and hyphens; it becomes the epoch and parts of file names. */
  newId: () => string;
}

export interface Store {
  /** The newest state that is safe on disk (or the empty one, before the first update). */
  readonly state: StoreState;
  /** What was broken when the store was opened, in words for people; undefined when all was well. */
  readonly notice: string | undefined;
  /**
   * Applies the change to the newest state; one after the other, in the order of the calls.
   * `state` changes only when the result is safe on disk. Rejects with STORE_WRITE_FAILED and
   * leaves state and files as they were; with INTERNAL when the change itself is unsound.
   */
  update(change: (state: StoreState) => StoreState): Promise<void>;
  /** Waits for updates under way and gives the lock back. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Opens the state directory, alone. A file that cannot be trusted is set aside and its second copy
 * used, else the store starts empty under a new epoch; `notice` says so.
 * Rejects with STORE_LOCKED, or STORE_WRITE_FAILED where the directory cannot be made or locked.
 */
export async function openStore(
  options: StoreOptions & { directory: string },
  deps: StoreDeps,
): Promise<Store> {
  const { directory } = options;
  await makeDirectory(directory);
  const lock = await acquireLock(directory, deps);
  try {
    await removeTemporaryFiles(directory, STATE_FILES_PREFIX);
    const files = new StateFiles({
      directory,
      fileBytesMax: options.fileBytesMax,
      nowMs: () => deps.clock.nowMs(),
      newId: deps.newId,
      onAheadLost: (error) => {
        deps.log.warn({ err: error }, "writes of the state take longer from now on");
      },
    });
    const database = new Low<StoreState>(files, emptyState(deps.newId()));
    await database.read();
    if (files.notice !== undefined) deps.log.warn({ notice: files.notice }, "state recovered");
    const release = async (): Promise<void> => {
      await files.close();
      await lock.release();
    };
    return createStore(options, { database, notice: files.notice, release });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: OWNER_ONLY });
  } catch (error) {
    const message = `cannot make the state directory ${directory}: ${errorMessage(error)}; configure another stateDirectory`;
    throw new AppError("STORE_WRITE_FAILED", message, { cause: error });
  }
}

function createStore(
  options: StoreOptions & { directory: string },
  opened: { database: Low<StoreState>; notice: string | undefined; release: () => Promise<void> },
): Store {
  const { database, notice, release } = opened;
  let state = database.data;
  const soundness = new Soundness(state);
  let queue = Promise.resolve();
  let waiting = 0;
  let stopping: Promise<void> | undefined;

  const apply = async (change: (state: StoreState) => StoreState): Promise<void> => {
    const checked = soundness.check(state, withinLimits(change(state), options));
    if (!checked.ok) {
      throw new AppError(
        "INTERNAL",
        `an unsound change of the state was refused: ${checked.message}`,
      );
    }
    const next = checked.value;
    // Low writes what it holds; readers see `state`, which follows only when the write succeeded.
    database.data = next;
    try {
      await database.write();
    } catch (error) {
      database.data = state;
      const message = `cannot write the state in ${options.directory}: ${errorMessage(error)}; the last good state stays in force`;
      throw new AppError("STORE_WRITE_FAILED", message, { cause: error });
    }
    state = next;
  };

  return {
    get state() {
      return state;
    },
    notice,
    update: (change) => {
      if (stopping !== undefined) {
        return Promise.reject(new AppError("ABORTED", "the store is closed"));
      }
      if (waiting >= UPDATES_WAITING_MAX) {
        const message = `${waiting} updates wait for the disk of ${options.directory}`;
        return Promise.reject(new AppError("STORE_WRITE_FAILED", message));
      }
      waiting += 1;
      const done = queue.then(() => apply(change)).finally(() => (waiting -= 1));
      queue = done.catch(() => undefined);
      return done;
    },
    stop: () => {
      stopping ??= queue.then(release);
      return stopping;
    },
  };
}
