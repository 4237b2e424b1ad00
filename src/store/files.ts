import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Adapter } from "lowdb";
import { errorMessage } from "../core/index.js";
import { type Decision, type Profile, profileSchema } from "../protocol/index.js";
import { AheadFile } from "./ahead.js";
import { replaceFiles } from "./atomic-file.js";
import { decisionPartSchema, DocumentWriter, type StoredDocument } from "./document.js";
import { type Numbered, seal, unseal } from "./envelope.js";
import { PartFiles, type PartFilesOptions } from "./parts.js";
import { readBounded, setAside } from "./read-file.js";
import type { StoreState } from "./state.js";

const STATE_FILE = "state.json";
const BACKUP_FILE = "state.json.bak";
const AHEAD_FILE = "state.json.ahead";
export const STATE_FILES_PREFIX = STATE_FILE;

type Copy =
  | { kind: "absent" }
  | { kind: "good"; value: Numbered }
  | { kind: "bad"; message: string };

export interface StateFilesOptions extends PartFilesOptions {
  /** The file ahead failed: writes take longer from now on, and nothing is lost. */
  onAheadLost: (error: unknown) => void;
}

/** A state as it goes to disk. */
interface Written {
  bytes: Buffer;
  /** The parts that it names. */
  named: () => ReadonlySet<string>;
}

/**
 * lowdb adapter that keeps two copies, and ahead of them the newest state. A write is done when the file
 * ahead holds it; the copies follow while the caller goes on, and the file ahead stays as it is until
 * both have what it has. Without that file a write is done only when both copies hold it. So each write
 * that was acknowledged, and with it every revision that was ever sent, is in one whole file at any
 * moment, and soon in three. One that reached a file without having been acknowledged counts as well;
 * `read` completes it before anybody relies on it.
 * Profiles and older decisions, which can be measured again or done without, are in single parts.
 */
export class StateFiles implements Adapter<StoreState> {
  readonly #options: PartFilesOptions;
  readonly #parts: PartFiles;
  readonly #writer = new DocumentWriter();
  readonly #ahead: AheadFile;
  readonly #notices: string[] = [];
  #sequence = 0;
  /** The file ahead holds what the copies do not. */
  #isAhead = false;
  /** The copies are being brought to what the file ahead holds. Never rejects. */
  #following = Promise.resolve();

  constructor(options: StateFilesOptions) {
    this.#options = options;
    this.#parts = new PartFiles(options);
    this.#ahead = new AheadFile(options.directory, AHEAD_FILE, options.onAheadLost);
  }

  /** What was found broken and what was done about it, for people; undefined when all was well. */
  get notice(): string | undefined {
    return this.#notices.length === 0 ? undefined : this.#notices.join("; ");
  }

  async read(): Promise<StoreState | null> {
    const copies = [await this.#readCopy(STATE_FILE), await this.#readCopy(BACKUP_FILE)];
    const ahead = await this.#readAhead();
    const good = [...copies, ahead].flatMap((copy) => (copy.kind === "good" ? [copy.value] : []));
    const newest = good.sort((a, b) => b.sequence - a.sequence)[0];
    let state: StoreState | null = null;
    if (newest !== undefined) {
      this.#sequence = newest.sequence;
      state = newest.kind === "state" ? newest.state : await this.#withParts(newest.document);
      const isNewest = (copy: Copy): boolean =>
        copy.kind === "good" && copy.value.sequence === newest.sequence;
      if (!copies.every(isNewest)) await this.#completeCopies(state);
      // What belongs to a state that could not be read may still be of use to somebody.
      if (this.#notices.length === 0 && newest.kind === "document") {
        await this.#parts.sweep(partsOf(newest.document));
      }
    } else if (copies.some(({ kind }) => kind === "bad")) {
      this.#notices.push("no good copy of the state is left: starting empty");
    }
    await this.#allocateAhead();
    return state;
  }

  async write(state: StoreState): Promise<void> {
    await this.#following;
    const written = this.#encode(state);
    await this.#parts.write(written.parts);
    // What only the file ahead holds must not be written over.
    if (this.#isAhead || !(await this.#ahead.write(written.bytes))) {
      await this.#writeCopies(written);
      this.#following = this.#writeDueParts().catch(() => undefined);
      return;
    }
    this.#isAhead = true;
    this.#following = this.#follow(written);
  }

  /** Waits for what goes on behind acknowledged writes; nothing may be written afterwards. */
  async close(): Promise<void> {
    await this.#following;
    await this.#ahead.close();
  }

  #encode(state: StoreState): Written & { parts: ReadonlyMap<string, Buffer> } {
    // Also a write that fails uses up its number: its content may be on disk.
    this.#sequence += 1;
    const { fileBytesMax } = this.#options;
    const document = this.#writer.encode(state, (sha256) => this.#parts.has(sha256));
    const bytes = seal(this.#sequence, document.json);
    if (bytes.byteLength > fileBytesMax) {
      throw new Error(`the state is larger than store.fileBytesMax (${fileBytesMax} bytes)`);
    }
    return { bytes, named: document.named, parts: document.parts };
  }

  async #writeCopies({ bytes, named }: Written): Promise<void> {
    const { directory, newId } = this.#options;
    const copies = [STATE_FILE, BACKUP_FILE].map((name) => [name, bytes] as const);
    await replaceFiles(directory, new Map(copies), newId);
    this.#isAhead = false;
    await this.#parts.keepOnly(named());
  }

  async #follow(written: Written): Promise<void> {
    // Whoever waited for the write goes on first.
    await setImmediate();
    try {
      await this.#writeCopies(written);
      await this.#writeDueParts();
    } catch {
      // While copies lack something the next write begins with them, and says what is wrong; decisions
      // without a part stand in the document.
    }
  }

  /** Decisions of which many stand in the document go to parts between two writes. */
  async #writeDueParts(): Promise<void> {
    const due = this.#writer.dueParts();
    if (due === undefined) return;
    await this.#parts.write(due.parts);
    due.take();
  }

  /** The state that a document stands for. What a lost part held is missing, and a notice says so. */
  async #withParts(document: StoredDocument): Promise<StoreState> {
    const profiles = new Map<string, Profile>();
    for (const sha256 of document.profiles) {
      const part = await this.#parts.read(sha256, profileSchema);
      if (part.ok) profiles.set(sha256, part.value);
      else this.#notices.push(`a profile was unreadable: ${part.message}`);
    }
    const { parts, recent } = document.decisions;
    const older = new Map<string, Decision[]>();
    for (const { sha256 } of parts) {
      const part = await this.#parts.read(sha256, decisionPartSchema);
      if (part.ok) older.set(sha256, part.value);
      else this.#notices.push(`old decisions were unreadable: ${part.message}`);
    }
    this.#writer.remember(profiles, older);
    const kept = parts.flatMap(({ sha256, skip }) => older.get(sha256)?.slice(skip) ?? []);
    return { ...document, profiles: [...profiles.values()], decisions: [...kept, ...recent] };
  }

  async #completeCopies(state: StoreState): Promise<void> {
    try {
      const written = this.#encode(state);
      await this.#parts.write(written.parts);
      await this.#writeCopies(written);
    } catch {
      // The next write begins with the copies, and says what is wrong where it still is.
      this.#isAhead = true;
    }
  }

  async #allocateAhead(): Promise<void> {
    try {
      await this.#ahead.allocate();
    } catch (error) {
      this.#notices.push(`writes take longer without ${AHEAD_FILE}: ${errorMessage(error)}`);
    }
  }

  /** Remains of a write that was broken off are nothing bad: it was never acknowledged. */
  async #readAhead(): Promise<Copy> {
    const { directory, fileBytesMax, nowMs } = this.#options;
    try {
      const text = await this.#ahead.read(fileBytesMax);
      if (text === undefined) return { kind: "absent" };
      const unsealed = unseal(text);
      if (unsealed.ok) return { kind: "good", value: unsealed.value };
      if (unsealed.why === "damage") return { kind: "absent" };
      throw new Error(unsealed.message);
    } catch (error) {
      const message = errorMessage(error);
      const done = await setAside(directory, AHEAD_FILE, nowMs());
      this.#notices.push(`${AHEAD_FILE} was unreadable (${message}), ${done}`);
      return { kind: "bad", message };
    }
  }

  async #readCopy(name: string): Promise<Copy> {
    const copy = await this.#tryCopy(name);
    if (copy.kind === "bad") {
      const { directory, nowMs } = this.#options;
      const done = await setAside(directory, name, nowMs());
      this.#notices.push(`${name} was unreadable (${copy.message}), ${done}`);
    }
    return copy;
  }

  async #tryCopy(name: string): Promise<Copy> {
    const { directory, fileBytesMax } = this.#options;
    try {
      const unsealed = unseal(await readBounded(join(directory, name), fileBytesMax));
      return unsealed.ok
        ? { kind: "good", value: unsealed.value }
        : { kind: "bad", message: unsealed.message };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "absent" };
      return { kind: "bad", message: errorMessage(error) };
    }
  }
}

function partsOf({ profiles, decisions }: StoredDocument): ReadonlySet<string> {
  return new Set([...profiles, ...decisions.parts.map(({ sha256 }) => sha256)]);
}
