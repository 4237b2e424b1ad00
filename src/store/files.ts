import { access, open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Adapter } from "lowdb";
import { errorMessage } from "../core/index.js";
import { replaceFile, syncDirectory } from "./atomic-file.js";
import { type Numbered, seal, unseal } from "./envelope.js";
import type { StoreState } from "./state.js";

const STATE_FILE = "state.json";
const BACKUP_FILE = "state.json.bak";
export const STATE_FILES_PREFIX = STATE_FILE;

export interface StateFilesOptions {
  directory: string;
  fileBytesMax: number;
  nowMs: () => number;
  newId: () => string;
}

type Copy =
  | { kind: "absent" }
  | { kind: "good"; value: Numbered }
  | { kind: "bad"; message: string };

/**
 * lowdb adapter that keeps two copies. A write is done only when both hold it, so either one alone
 * recovers every acknowledged write, and with it every revision that was ever sent. A write that
 * only reached the first copy was not acknowledged; `read` completes it before anybody relies on it.
 */
export class StateFiles implements Adapter<StoreState> {
  readonly #options: StateFilesOptions;
  readonly #notices: string[] = [];
  #sequence = 0;

  constructor(options: StateFilesOptions) {
    this.#options = options;
  }

  /** What was found broken and what was done about it, for people; undefined when all was well. */
  get notice(): string | undefined {
    return this.#notices.length === 0 ? undefined : this.#notices.join("; ");
  }

  async read(): Promise<StoreState | null> {
    const copies = [await this.#readCopy(STATE_FILE), await this.#readCopy(BACKUP_FILE)];
    const good = copies.flatMap((copy) => (copy.kind === "good" ? [copy.value] : []));
    const newest = good.sort((a, b) => b.sequence - a.sequence)[0];
    if (newest === undefined) {
      if (copies.some(({ kind }) => kind === "bad")) {
        this.#notices.push("no good copy of the state is left: starting empty");
      }
      return null;
    }
    this.#sequence = newest.sequence;
    if (good.some(({ sequence }) => sequence !== newest.sequence) || good.length < copies.length) {
      await this.#completeCopies(newest.state);
    }
    return newest.state;
  }

  async write(state: StoreState): Promise<void> {
    // Also a write that fails uses up its number: its content may be on disk.
    this.#sequence += 1;
    const text = seal({ sequence: this.#sequence, state });
    const { directory, fileBytesMax, newId } = this.#options;
    if (Buffer.byteLength(text) > fileBytesMax) {
      throw new Error(`the state is larger than store.fileBytesMax (${fileBytesMax} bytes)`);
    }
    await replaceFile({ directory, name: STATE_FILE }, text, newId());
    await replaceFile({ directory, name: BACKUP_FILE }, text, newId());
  }

  async #completeCopies(state: StoreState): Promise<void> {
    try {
      await this.write(state);
    } catch (error) {
      this.#notices.push(`the second copy could not be written: ${errorMessage(error)}`);
    }
  }

  async #readCopy(name: string): Promise<Copy> {
    const copy = await this.#tryCopy(name);
    if (copy.kind === "bad") {
      this.#notices.push(`${name} was unreadable (${copy.message}), ${await this.#setAside(name)}`);
    }
    return copy;
  }

  async #tryCopy(name: string): Promise<Copy> {
    try {
      const text = await readBounded(
        join(this.#options.directory, name),
        this.#options.fileBytesMax,
      );
      const unsealed = unseal(text);
      return unsealed.ok
        ? { kind: "good", value: unsealed.value }
        : { kind: "bad", message: unsealed.message };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "absent" };
      return { kind: "bad", message: errorMessage(error) };
    }
  }

  /** Renames the file so that it can be looked at later; says in words what was done. */
  async #setAside(name: string): Promise<string> {
    const { directory, nowMs } = this.#options;
    const base = `${name}.corrupt-${nowMs()}`;
    try {
      let aside = base;
      for (let copy = 2; await exists(join(directory, aside)); copy += 1) aside = `${base}-${copy}`;
      await rename(join(directory, name), join(directory, aside));
      await syncDirectory(directory);
      return `set aside as ${aside}`;
    } catch (error) {
      return `could not be set aside: ${errorMessage(error)}`;
    }
  }
}

async function readBounded(path: string, bytesMax: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > bytesMax) throw new Error(`it has ${size} bytes; store.fileBytesMax is ${bytesMax}`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
