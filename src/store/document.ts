import { z } from "zod";
import { type Decision, decisionSchema, type Profile, sha256Schema } from "../protocol/index.js";
import { checksum } from "./checksum.js";
import { type StoreState, storeStateSchema } from "./state.js";

/** Decisions that share a part; as many again may stand in the document before they get one. */
const DECISIONS_PER_PART = 16;

/** What a state file holds: the state, with profiles and older decisions named by their parts. */
export const documentSchema = storeStateSchema.extend({
  profiles: z.array(sha256Schema),
  decisions: z.strictObject({
    /** Oldest first; `skip`: so many at its beginning have gone already. */
    parts: z.array(z.strictObject({ sha256: sha256Schema, skip: z.number().int().nonnegative() })),
    recent: z.array(decisionSchema),
  }),
});
export type StoredDocument = z.infer<typeof documentSchema>;

export const decisionPartSchema = z.array(decisionSchema);

/** A document as JSON, and its parts that are not on disk yet. */
export interface Encoded {
  json: Buffer;
  parts: ReadonlyMap<string, Buffer>;
  /** All parts that the document names; asked for when nobody waits any more. */
  named: () => ReadonlySet<string>;
}

interface DecisionPart {
  sha256: string;
  decisions: readonly Decision[];
}

/**
 * Turns states into documents. Records and lists are never changed, only replaced, so each is turned
 * into bytes once, however many states it is part of: what a decision waits for is hardly more than copying.
 */
export class DocumentWriter {
  /** Of records, and of lists by themselves. */
  readonly #json = new WeakMap<object, Buffer>();
  readonly #profileLists = new WeakMap<readonly Profile[], readonly string[]>();
  readonly #profileSha256s = new WeakMap<Profile, string>();
  #decisionParts: readonly DecisionPart[] = [];
  /** In no part yet. */
  #recent: readonly Decision[] = [];

  /** Takes note of parts that were read, so that they need not be made again. */
  remember(
    profiles: ReadonlyMap<string, Profile>,
    decisionParts: ReadonlyMap<string, readonly Decision[]>,
  ): void {
    for (const [sha256, profile] of profiles) this.#profileSha256s.set(profile, sha256);
    this.#decisionParts = [...decisionParts].map(([sha256, decisions]) => ({ sha256, decisions }));
  }

  encode(state: StoreState, isOnDisk: (sha256: string) => boolean): Encoded {
    const parts = new Map<string, Buffer>();
    const profiles = this.#profileNames(state.profiles);
    profiles.forEach((sha256, index) => {
      if (!isOnDisk(sha256)) parts.set(sha256, jsonOf(state.profiles[index]));
    });
    const { kept, skip } = partsWithin(this.#decisionParts, state.decisions);
    const recent = state.decisions.slice(partedCount(kept) - skip);
    this.#decisionParts = kept;
    this.#recent = recent;
    for (const { sha256, decisions } of kept) {
      if (!isOnDisk(sha256)) parts.set(sha256, this.#listJson(decisions));
    }
    const decisionParts = kept.map(({ sha256 }, index) => ({
      sha256,
      skip: index === 0 ? skip : 0,
    }));
    const others = Object.entries(state).flatMap(([key, value]) =>
      key === "profiles" || key === "decisions" || value === undefined
        ? []
        : [Buffer.from(`${JSON.stringify(key)}:`), this.#valueJson(value), COMMA],
    );
    const json = Buffer.concat([
      Buffer.from("{"),
      ...others,
      Buffer.from('"profiles":'),
      this.#keptJson(profiles, () => jsonOf(profiles)),
      Buffer.from(`,"decisions":{"parts":${JSON.stringify(decisionParts)},"recent":`),
      this.#listJson(recent),
      Buffer.from("}}"),
    ]);
    const named = (): ReadonlySet<string> =>
      new Set([...profiles, ...kept.map(({ sha256 }) => sha256)]);
    return { json, parts, named };
  }

  /** Parts for decisions of which more stand in the document than need to. */
  dueParts(): { parts: ReadonlyMap<string, Buffer>; take: () => void } | undefined {
    const made: DecisionPart[] = [];
    const parts = new Map<string, Buffer>();
    let used = 0;
    for (; this.#recent.length - used >= 2 * DECISIONS_PER_PART; used += DECISIONS_PER_PART) {
      const decisions = this.#recent.slice(used, used + DECISIONS_PER_PART);
      const json = this.#listJson(decisions);
      const sha256 = checksum(json);
      made.push({ sha256, decisions });
      parts.set(sha256, json);
    }
    if (made.length === 0) return undefined;
    return {
      parts,
      take: () => {
        this.#decisionParts = [...this.#decisionParts, ...made];
      },
    };
  }

  #profileNames(profiles: readonly Profile[]): readonly string[] {
    let names = this.#profileLists.get(profiles);
    if (names === undefined) {
      names = profiles.map((profile) => this.#profileName(profile));
      this.#profileLists.set(profiles, names);
    }
    return names;
  }

  #profileName(profile: Profile): string {
    let sha256 = this.#profileSha256s.get(profile);
    if (sha256 === undefined) {
      sha256 = checksum(jsonOf(profile));
      this.#profileSha256s.set(profile, sha256);
    }
    return sha256;
  }

  #valueJson(value: string | object): Buffer {
    if (!Array.isArray(value)) return jsonOf(value);
    const list: readonly object[] = value;
    return this.#keptJson(list, () => this.#listJson(list));
  }

  #listJson(records: readonly object[]): Buffer {
    const chunks = records.flatMap((record, index) => {
      const json = this.#keptJson(record, () => jsonOf(record));
      return index === 0 ? [json] : [COMMA, json];
    });
    return Buffer.concat([Buffer.from("["), ...chunks, Buffer.from("]")]);
  }

  #keptJson(of: object, make: () => Buffer): Buffer {
    let json = this.#json.get(of);
    if (json === undefined) {
      json = make();
      this.#json.set(of, json);
    }
    return json;
  }
}

const COMMA = Buffer.from(",");

function jsonOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function partedCount(parts: readonly DecisionPart[]): number {
  return parts.reduce((sum, part) => sum + part.decisions.length, 0);
}

/** The parts that are still the beginning of these decisions; none where these are others. */
function partsWithin(
  parts: readonly DecisionPart[],
  decisions: readonly Decision[],
): { kept: readonly DecisionPart[]; skip: number } {
  const [oldest] = decisions;
  const at = parts.findIndex((part) => oldest !== undefined && part.decisions.includes(oldest));
  const kept = at === -1 ? [] : parts.slice(at);
  const skip = oldest === undefined ? 0 : (kept[0]?.decisions.indexOf(oldest) ?? 0);
  let index = -skip;
  for (const part of kept) {
    for (const decision of part.decisions) {
      if (index >= 0 && decision !== decisions[index]) return { kept: [], skip: 0 };
      index += 1;
    }
  }
  return { kept, skip };
}
