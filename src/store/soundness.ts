import { type Parsed, parseValue } from "../protocol/index.js";
import { PIPELINES_MAX, type StoreState, storeStateSchema, unsoundChange } from "./state.js";

/**
 * Refuses states that a later start could not read, or that would let a revision be used twice.
 * Records and lists are never changed, only replaced, so each is looked at once, however many states it is in.
 */
export class Soundness {
  readonly #sound = new WeakSet<object>();

  constructor(state: StoreState) {
    for (const [, list] of listsOf(state)) this.#note(list);
  }

  /** The change as it may be kept, or what is wrong with it. */
  check(before: StoreState, after: StoreState): Parsed<StoreState> {
    // Lists keep their order, with what is known already left out and put back.
    const changed = changedLists(before, after);
    const fresh = mapLists(after, (list, key) =>
      changed.has(key) ? list.filter((record) => !this.#sound.has(record)) : [],
    );
    const parsed = parseValue(fresh, storeStateSchema);
    if (!parsed.ok) return parsed;
    const pipelines = Math.max(after.pipelines.length, after.controls?.length ?? 0);
    if (pipelines > PIPELINES_MAX) return { ok: false, message: "too many pipelines" };
    const value = this.#putBack(after, parsed.value, changed);
    const message = unsoundChange(before, value);
    if (message !== undefined) return { ok: false, message };
    for (const [key, list] of listsOf(value)) if (changed.has(key)) this.#note(list);
    return { ok: true, value };
  }

  #putBack(after: StoreState, parsed: StoreState, changed: ReadonlySet<string>): StoreState {
    const queues = new Map(listsOf(parsed).map(([key, list]) => [key, list.values()]));
    return mapLists(after, (list, key) => {
      if (!changed.has(key)) return list;
      return list.map((record) => {
        if (this.#sound.has(record)) return record;
        return queues.get(key)?.next().value ?? record;
      });
    });
  }

  #note(list: readonly object[]): void {
    for (const record of list) this.#sound.add(record);
  }
}

/** The lists that are other ones than before. */
function changedLists(before: StoreState, after: StoreState): ReadonlySet<string> {
  const known = new Map(listsOf(before));
  return new Set(listsOf(after).flatMap(([key, list]) => (known.get(key) === list ? [] : [key])));
}

function listsOf(state: StoreState): [string, readonly object[]][] {
  return Object.entries(state).flatMap(([key, value]): [string, readonly object[]][] =>
    Array.isArray(value) ? [[key, value]] : [],
  );
}

/** The same state with other lists of the same kinds. */
function mapLists(
  state: StoreState,
  map: (list: readonly object[], key: string) => readonly object[],
): StoreState {
  const mapped = listsOf(state).map(([key, list]) => [key, map(list, key)] as const);
  return { ...state, ...(Object.fromEntries(mapped) as Partial<StoreState>) };
}
