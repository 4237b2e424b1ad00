import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isAppError, silentLogger } from "../../src/core/index.js";
import {
  openStore,
  type Store,
  type StoreOptions,
  storeOptionsSchema,
  withDecision,
  withPipeline,
  withProfile,
} from "../../src/store/index.js";
import { makeFastDirectory } from "../support/fast-directory.js";
import { ManualClock } from "../support/manual-clock.js";
import { aDecision, aPlan } from "../support/plans.js";
import { aProfile } from "../support/profiles.js";

let directory: string;
let clock: ManualClock;
let ids: number;
const stores: Store[] = [];

beforeEach(async () => {
  directory = await makeFastDirectory("scissiond-store-");
  clock = new ManualClock();
  ids = 0;
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function open(options: Partial<StoreOptions> & { directory?: string } = {}): Promise<Store> {
  const store = await openStore(
    { ...storeOptionsSchema.parse({}), directory, ...options },
    { log: silentLogger, clock, newId: () => `id-${(ids += 1)}` },
  );
  stores.push(store);
  return store;
}

/** Publishes `revision`, closes, and returns the bytes of both copies. */
async function written(revision: number): Promise<Buffer> {
  const store = await open();
  const { epoch } = store.state;
  const plan = aPlan({ epoch, revision });
  await store.update((state) => withPipeline(state, { name: "p", revision, plan }));
  await store.stop();
  return readFile(join(directory, "state.json"));
}

/** There is no room for the file ahead of the copies, so every write waits for both. */
async function openWithoutAhead(): Promise<Store> {
  await symlink(path("no/such/place"), path("state.json.ahead"));
  const store = await open();
  expect(store.notice).toContain("writes take longer without state.json.ahead: ENOENT");
  await rm(path("state.json.ahead"));
  return store;
}

const path = (name: string): string => join(directory, name);
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("the store", () => {
  it("gives back what was written, and keeps its epoch", async () => {
    const store = await open();
    const { epoch } = store.state;
    const plan = aPlan({ epoch, revision: 3 });
    await store.update((state) => withPipeline(state, { name: "vision-cam-1", revision: 3, plan }));
    await store.update((state) => withProfile(state, aProfile()));
    await store.update((state) => withDecision(state, aDecision()));
    const { state } = store;
    await store.stop();
    const again = await open();
    expect(again.state).toEqual(state);
    expect(again.state.epoch).toBe(epoch);
    expect(again.notice).toBeUndefined();
  });

  it("starts in another epoch where it starts empty", async () => {
    const first = await open({ directory: path("a") });
    const second = await open({ directory: path("b") });
    expect(first.state.epoch).not.toBe(second.state.epoch);
  });

  it("keeps the files to their owner", async () => {
    await written(1);
    for (const name of ["state.json", "state.json.bak", "state.json.ahead"]) {
      expect((await stat(path(name))).mode & 0o777).toBe(0o600);
    }
  });

  it("applies updates in the order of the calls, each to the result of the one before", async () => {
    const store = await open();
    const updates = Array.from({ length: 20 }, (_, index) =>
      store.update((state) => withDecision(state, aDecision({ at: index }))),
    );
    await Promise.all(updates);
    expect(store.state.decisions.map(({ at }) => at)).toEqual(updates.map((_, index) => index));
  });

  it("finishes updates under way before it stops, and takes none after", async () => {
    const store = await open();
    const update = store.update((state) => withDecision(state, aDecision()));
    await store.stop();
    await update;
    expect(isAppError(await failure(store.update((state) => state)), "ABORTED")).toBe(true);
    expect((await open()).state.decisions).toHaveLength(1);
  });

  it("keeps only the newest decisions and profiles", async () => {
    const store = await open({ decisionsMax: 2, profilesMax: 2 });
    for (const node of ["a", "b", "c", "a"]) {
      await store.update((state) =>
        withProfile(
          withDecision(state, aDecision({ summary: node })),
          aProfile({ node: { tier: "edge", name: node, hardwareClass: "x" } }),
        ),
      );
    }
    expect(store.state.decisions.map(({ summary }) => summary)).toEqual(["c", "a"]);
    expect(store.state.profiles.map(({ node }) => node.name)).toEqual(["c", "a"]);
  });

  it("refuses changes by which a revision could be used twice", async () => {
    const store = await open();
    await store.update((state) => withPipeline(state, { name: "p", revision: 5, plan: null }));
    const before = store.state;
    const unsound = [
      store.update((state) => withPipeline(state, { name: "p", revision: 4, plan: null })),
      store.update((state) => ({ ...state, pipelines: [] })),
      store.update((state) => ({ ...state, epoch: "another" })),
      store.update((state) => ({ ...state, pipelines: [...state.pipelines, ...state.pipelines] })),
      store.update((state) => withDecision(state, aDecision({ gainPercent: Number.NaN }))),
    ];
    for (const update of unsound) expect(isAppError(await failure(update), "INTERNAL")).toBe(true);
    expect(store.state).toBe(before);
    const thrown = new Error("no state");
    const update = store.update(() => {
      throw thrown;
    });
    expect(await failure(update)).toBe(thrown);
    await store.update((state) => withPipeline(state, { name: "p", revision: 6, plan: null }));
    expect(store.state.pipelines[0]?.revision).toBe(6);
  });
});

const toRevision = (store: Store, revision: number): Promise<void> =>
  store.update((state) => withPipeline(state, { name: "p", revision, plan: null }));
/** Nothing can be renamed over a directory that is not empty. */
async function blockPath(name: string): Promise<void> {
  await rm(path(name), { force: true });
  await mkdir(path(`${name}/in-the-way`), { recursive: true });
}

describe("a write that fails", () => {
  it("leaves memory and the good copy as they were, and the next one succeeds", async () => {
    const store = await openWithoutAhead();
    await toRevision(store, 1);
    const before = store.state;
    await blockPath("state.json");
    expect(isAppError(await failure(toRevision(store, 2)), "STORE_WRITE_FAILED")).toBe(true);
    expect(store.state).toBe(before);
    expect(await readFile(path("state.json.bak"), "utf8")).toContain('"revision":1');
    await rm(path("state.json"), { recursive: true });
    await toRevision(store, 2);
    await store.stop();
    expect((await open()).state.pipelines[0]?.revision).toBe(2);
    expect((await readdir(directory)).filter((name) => name.includes(".tmp-"))).toEqual([]);
  });

  it("to the second copy is not acknowledged, and never lost on the next start either", async () => {
    const store = await openWithoutAhead();
    await toRevision(store, 1);
    await blockPath("state.json.bak");
    expect(isAppError(await failure(toRevision(store, 2)), "STORE_WRITE_FAILED")).toBe(true);
    expect(store.state.pipelines[0]?.revision).toBe(1);
    await store.stop();
    await rm(path("state.json.bak"), { recursive: true });
    // The first copy holds revision 2: from now on it counts, so both copies must have it.
    const again = await open();
    expect(again.state.pipelines[0]?.revision).toBe(2);
    await again.stop();
    await rm(path("state.json"));
    expect((await open()).state.pipelines[0]?.revision).toBe(2);
  });

  it("behind an acknowledged one keeps that one safe, and is told by the next", async () => {
    await written(1);
    const store = await open();
    await blockPath("state.json.bak");
    await toRevision(store, 2);
    for (const revision of [3, 4]) {
      const failed = await failure(toRevision(store, revision));
      expect(isAppError(failed, "STORE_WRITE_FAILED")).toBe(true);
      expect(store.state.pipelines[0]?.revision).toBe(2);
    }
    await store.stop();
    // What only the file ahead holds has not been written over.
    expect(await readFile(path("state.json.ahead"), "utf8")).toContain('"revision":2');
    await rm(path("state.json"));
    await rm(path("state.json.bak"), { recursive: true });
    const again = await open();
    expect(again.state.pipelines[0]?.revision).toBe(2);
    await toRevision(again, 3);
    await again.stop();
    for (const name of ["state.json", "state.json.bak", "state.json.ahead"]) {
      expect(await readFile(path(name), "utf8")).toContain('"revision":3');
    }
  });

  it("heals by itself: the write after it finds the copies complete", async () => {
    const store = await open();
    await blockPath("state.json.bak");
    await toRevision(store, 1);
    expect(isAppError(await failure(toRevision(store, 2)), "STORE_WRITE_FAILED")).toBe(true);
    await rm(path("state.json.bak"), { recursive: true });
    for (const revision of [2, 3]) await toRevision(store, revision);
    await store.stop();
    await rm(path("state.json"));
    await rm(path("state.json.ahead"));
    expect((await open()).state.pipelines[0]?.revision).toBe(3);
  });

  it("because the state is too large says which limit", async () => {
    const store = await open({ fileBytesMax: 65_536 });
    const summary = "x".repeat(70_000);
    const error = await failure(
      store.update((state) => withDecision(state, aDecision({ summary }))),
    );
    expect(isAppError(error, "STORE_WRITE_FAILED")).toBe(true);
    expect(String(error)).toContain("store.fileBytesMax");
  });
});

describe("a damaged state file", () => {
  it("cut at any byte is set aside and its copy used, with nothing lost", async () => {
    const good = await written(7);
    for (let length = 0; length < good.length - 1; length += length < 200 ? 1 : 13) {
      await writeFile(path("state.json"), good.subarray(0, length));
      await expectRecovered(7);
    }
  });

  it("with a page of zeros, a flipped bit, or no JSON at all, as well", async () => {
    const good = await written(7);
    const zeroed = Buffer.from(good);
    zeroed.fill(0, 300);
    const flipped = Buffer.from(good);
    const digit = flipped.indexOf('"revision":7') + '"revision":'.length;
    flipped.writeUInt8("8".charCodeAt(0), digit);
    const texts = [zeroed, flipped, "\uFEFF{}", "null", "[]", '{"format":"scissiond-state"}'];
    for (const text of texts) {
      await writeFile(path("state.json"), text);
      await expectRecovered(7);
    }
  });

  it("is replaced where the second copy is the damaged one", async () => {
    const good = await written(7);
    await writeFile(path("state.json.bak"), good.subarray(0, 100));
    await expectRecovered(7);
    expect((await readFile(path("state.json.bak"))).length).toBeGreaterThan(100);
  });

  it("of a newer scissiond is set aside, never overwritten", async () => {
    await written(7);
    const newer = '{"format":"scissiond-state","version":3,"data":{}}';
    await writeFile(path("state.json"), newer);
    await writeFile(path("state.json.bak"), newer);
    await writeFile(path("state.json.ahead"), `${newer}\n`);
    const store = await open();
    expect(store.notice).toContain("version 3");
    expect(await readFile(path(`state.json.ahead.corrupt-${clock.nowMs()}`), "utf8")).toBe(
      `${newer}\n`,
    );
    expect(await readFile(path(`state.json.corrupt-${clock.nowMs()}`), "utf8")).toBe(newer);
  });

  it("starts the store empty, in a new epoch and saying so, where no copy is good", async () => {
    await written(7);
    const { epoch } = (await open()).state;
    await stores.at(-1)?.stop();
    await writeFile(path("state.json"), "");
    await writeFile(path("state.json.bak"), "x");
    await writeFile(path("state.json.ahead"), "y");
    const store = await open();
    expect(store.state.pipelines).toEqual([]);
    expect(store.state.epoch).not.toBe(epoch);
    expect(store.notice).toMatch(/state.json was unreadable .*starting empty/s);
  });

  it("never overwrites one that was set aside in the same millisecond", async () => {
    await written(7);
    for (let round = 0; round < 3; round += 1) {
      await writeFile(path("state.json"), `damage ${round}`);
      await expectRecovered(7);
    }
    const aside = (await readdir(directory)).filter((name) => name.includes(".corrupt-")).sort();
    const texts = await Promise.all(aside.map((name) => readFile(path(name), "utf8")));
    expect(texts.sort()).toEqual(["damage 0", "damage 1", "damage 2"]);
  });

  async function expectRecovered(revision: number): Promise<void> {
    const store = await open();
    expect(store.state.pipelines[0]?.revision).toBe(revision);
    expect(store.state.pipelines[0]?.plan?.revision).toBe(revision);
    expect(store.notice).toContain("was unreadable");
    await store.stop();
  }
});

describe("the clock", () => {
  it("may jump in either direction: order and revisions do not depend on it", async () => {
    const store = await open();
    for (const jumpMs of [86_400_000, -172_800_000, 0]) {
      clock.jumpWall(jumpMs);
      const at = clock.nowMs();
      await store.update((state) => withDecision(state, aDecision({ at, summary: `${jumpMs}` })));
    }
    await store.stop();
    const again = await open({ decisionsMax: 2 });
    await again.update((state) => state);
    expect(again.state.decisions.map(({ summary }) => summary)).toEqual(["-172800000", "0"]);
  });
});
