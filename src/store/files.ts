import { join } from "node:path";
import type { Adapter } from "lowdb";
import { errorMessage } from "../core/index.js";
import { type Decision, type Profile, profileSchema } from "../protocol/index.js";
import { replaceFiles } from "./atomic-file.js";
import { decisionPartSchema, DocumentWriter, type StoredDocument } from "./document.js";
import { type Numbered, seal, unseal } from "./envelope.js";
import { PartFiles, type PartFilesOptions } from "./parts.js";
import { readBounded, setAside } from "./read-file.js";
import type { StoreState } from "./state.js";

const STATE_FILE = "state.json";
const BACKUP_FILE = "state.json.bak";
export const STATE_FILES_PREFIX = STATE_FILE;

type Copy =
  | { kind: "absent" }
  | { kind: "good"; value: Numbered }
  | { kind: "bad"; message: string };

/**
 * lowdb adapter that keeps two copies. A write is done only when both hold it, so either one alone
 * recovers every acknowledged write, and with it every revision that was ever sent. A write that
 * only reached the first copy was not acknowledged; `read` completes it before anybody relies on it.
 * Profiles and older decisions, which can be measured again or done without, are in single parts.
 */
export class StateFiles implements Adapter<StoreState> {
  readonly #options: PartFilesOptions;
  readonly #parts: PartFiles;
  readonly #writer = new DocumentWriter();
  readonly #notices: string[] = [];
  #sequence = 0;

  constructor(options: PartFilesOptions) {
    this.#options = options;
    this.#parts = new PartFiles(options);
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
    const state = newest.kind === "state" ? newest.state : await this.#withParts(newest.document);
    if (good.some(({ sequence }) => sequence !== newest.sequence) || good.length < copies.length) {
      await this.#completeCopies(state);
    }
    // What belongs to a state that could not be read may still be of use to somebody.
    if (this.#notices.length === 0 && newest.kind === "document") {
      await this.#parts.sweep(partsOf(newest.document));
    }
    return state;
  }

  async write(state: StoreState): Promise<void> {
    // Also a write that fails uses up its number: its content may be on disk.
    this.#sequence += 1;
    const { directory, fileBytesMax, newId } = this.#options;
    const document = this.#writer.encode(state, (sha256) => this.#parts.has(sha256));
    const text = seal(this.#sequence, document.text);
    if (Buffer.byteLength(text) > fileBytesMax) {
      throw new Error(`the state is larger than store.fileBytesMax (${fileBytesMax} bytes)`);
    }
    await this.#parts.write(document.parts);
    const copies = [STATE_FILE, BACKUP_FILE].map((name) => [name, text] as const);
    await replaceFiles(directory, new Map(copies), newId);
    await this.#parts.keepOnly(document.named);
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
      await this.write(state);
    } catch (error) {
      this.#notices.push(`the second copy could not be written: ${errorMessage(error)}`);
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
