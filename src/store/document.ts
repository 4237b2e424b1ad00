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

/** The JSON text of a document, and the texts of its parts that are not on disk yet. */
export interface Encoded {
  text: string;
  parts: ReadonlyMap<string, string>;
  /** All parts that the document names. */
  named: ReadonlySet<string>;
}

interface DecisionPart {
  sha256: string;
  decisions: readonly Decision[];
}

/**
 * Turns states into documents. Records are never changed, only replaced, so each is serialized once,
 * however many states it is part of.
 */
export class DocumentWriter {
  readonly #texts = new WeakMap<object, string>();
  readonly #profileNames = new WeakMap<Profile, string>();
  #decisionParts: readonly DecisionPart[] = [];
  /** In no part yet. */
  #recent: readonly Decision[] = [];

  /** Takes note of parts that were read, so that they need not be made again. */
  remember(
    profiles: ReadonlyMap<string, Profile>,
    decisionParts: ReadonlyMap<string, readonly Decision[]>,
  ): void {
    for (const [sha256, profile] of profiles) this.#profileNames.set(profile, sha256);
    this.#decisionParts = [...decisionParts].map(([sha256, decisions]) => ({ sha256, decisions }));
  }

  encode(state: StoreState, isOnDisk: (sha256: string) => boolean): Encoded {
    const parts = new Map<string, string>();
    const named = new Set<string>();
    const name = (sha256: string, textOf: () => string): string => {
      named.add(sha256);
      if (!isOnDisk(sha256)) parts.set(sha256, textOf());
      return sha256;
    };
    const others = Object.entries(state).flatMap(([key, value]) =>
      key === "profiles" || key === "decisions" || value === undefined
        ? []
        : [`${JSON.stringify(key)}:${this.#valueText(value)}`],
    );
    const profiles = state.profiles.map((profile) =>
      name(this.#profileName(profile), () => JSON.stringify(profile)),
    );
    const { kept, skip } = partsWithin(this.#decisionParts, state.decisions);
    const recent = state.decisions.slice(partedCount(kept) - skip);
    this.#decisionParts = kept;
    this.#recent = recent;
    const decisionParts = kept.map(({ sha256, decisions }, index) => ({
      sha256: name(sha256, () => this.#listText(decisions)),
      skip: index === 0 ? skip : 0,
    }));
    const members = [
      ...others,
      `"profiles":${JSON.stringify(profiles)}`,
      `"decisions":{"parts":${JSON.stringify(decisionParts)},"recent":${this.#listText(recent)}}`,
    ];
    return { text: `{${members.join(",")}}`, parts, named };
  }

  /** The texts of parts for decisions of which more stand in the document than need to. */
  dueParts(): { texts: ReadonlyMap<string, string>; take: () => void } | undefined {
    const parts: DecisionPart[] = [];
    let used = 0;
    for (; this.#recent.length - used >= 2 * DECISIONS_PER_PART; used += DECISIONS_PER_PART) {
      const decisions = this.#recent.slice(used, used + DECISIONS_PER_PART);
      parts.push({ sha256: checksum(this.#listText(decisions)), decisions });
    }
    if (parts.length === 0) return undefined;
    return {
      texts: new Map(parts.map(({ sha256, decisions }) => [sha256, this.#listText(decisions)])),
      take: () => {
        this.#decisionParts = [...this.#decisionParts, ...parts];
      },
    };
  }

  #profileName(profile: Profile): string {
    let sha256 = this.#profileNames.get(profile);
    if (sha256 === undefined) {
      sha256 = checksum(JSON.stringify(profile));
      this.#profileNames.set(profile, sha256);
    }
    return sha256;
  }

  #valueText(value: string | object): string {
    return Array.isArray(value) ? this.#listText(value) : JSON.stringify(value);
  }

  #listText(records: readonly object[]): string {
    return `[${records.map((record) => this.#textOf(record)).join(",")}]`;
  }

  #textOf(record: object): string {
    let text = this.#texts.get(record);
    if (text === undefined) {
      text = JSON.stringify(record);
      this.#texts.set(record, text);
    }
    return text;
  }
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
  const held = kept.flatMap((part) => part.decisions).slice(skip);
  const isPrefix = held.every((decision, index) => decision === decisions[index]);
  return isPrefix ? { kept, skip } : { kept: [], skip: 0 };
}
