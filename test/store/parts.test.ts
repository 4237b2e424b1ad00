import { createHash } from "node:crypto";
import { readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
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
import { until } from "../support/poll.js";
import { aProfile } from "../support/profiles.js";

let directory: string;
let ids = 0;
const stores: Store[] = [];

beforeEach(async () => {
  directory = await makeFastDirectory("scissiond-parts-");
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function open(options: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openStore(
    { ...storeOptionsSchema.parse({}), directory, ...options },
    { log: silentLogger, clock: new ManualClock(), newId: () => `id-${(ids += 1)}` },
  );
  stores.push(store);
  return store;
}

async function reopen(store: Store, options: Partial<StoreOptions> = {}): Promise<Store> {
  await store.stop();
  return open(options);
}

const profileOf = (name: string, wholeMs = 12) =>
  aProfile({ node: { tier: "edge", name, hardwareClass: "x" }, wholeMs });
const names = (store: Store): string[] => store.state.profiles.map(({ node }) => node.name);
const partFiles = async (): Promise<string[]> =>
  (await readdir(join(directory, "parts")).catch(() => [])).sort();

describe("records that never change", () => {
  it("leave the state's file also where no file ahead of it can be had", async () => {
    await symlink(join(directory, "missing", "file"), join(directory, "state.json.ahead"));
    const store = await open();
    expect(store.notice).toContain("state.json.ahead");
    for (let at = 1; at <= 100; at += 1) {
      await store.update((state) => withDecision(state, aDecision({ at })));
    }
    await until(async () => (await partFiles()).length >= 4);
    const again = await reopen(store);
    expect(again.state.decisions).toHaveLength(100);
  });

  it("are written once: a new plan leaves their files and the state's size alone", async () => {
    const store = await open();
    const blocks = Array.from({ length: 500 }, (_, index) => ({
      ...aProfile().blocks[0]!,
      index,
      firstLayer: index,
      lastLayer: index,
    }));
    for (const name of ["a", "b", "c"]) {
      await store.update((state) => withProfile(state, { ...profileOf(name), blocks }));
    }
    const files = await partFiles();
    const timesOf = () =>
      Promise.all(files.map(async (name) => (await stat(join(directory, "parts", name))).mtimeMs));
    const before = await timesOf();
    await store.update((state) => withPipeline(state, { name: "p", revision: 1, plan: aPlan() }));
    expect(files).toHaveLength(3);
    expect(await timesOf()).toEqual(before);
    expect((await stat(join(directory, "state.json"))).size).toBeLessThan(4_096);
    expect((await reopen(store)).state.profiles.every((each) => each.blocks.length === 500)).toBe(
      true,
    );
  });

  it("stay the same objects over updates, so that nobody serializes them anew", async () => {
    const store = await open();
    await store.update((state) => withPipeline(state, { name: "p", revision: 1, plan: aPlan() }));
    const [pipeline] = store.state.pipelines;
    await store.update((state) => withDecision(state, aDecision()));
    expect(store.state.pipelines[0]).toBe(pipeline);
  });

  it("lose their file when another takes their place", async () => {
    const store = await open();
    await store.update((state) => withProfile(state, profileOf("a", 1)));
    const [first] = await partFiles();
    await store.update((state) => withProfile(state, profileOf("a", 2)));
    await until(async () => !(await partFiles()).includes(first ?? ""));
    expect(await partFiles()).toHaveLength(1);
    expect((await reopen(store)).state.profiles.map(({ wholeMs }) => wholeMs)).toEqual([2]);
  });

  it("go to parts also as decisions, of which the newest stay, over restarts", async () => {
    let store = await open({ decisionsMax: 300 });
    for (let at = 0; at < 500; at += 1) {
      await store.update((state) => withDecision(state, aDecision({ at })));
      if (at % 111 === 0) store = await reopen(store, { decisionsMax: 300 });
    }
    const expected = Array.from({ length: 300 }, (_, index) => 200 + index);
    expect(store.state.decisions.map(({ at }) => at)).toEqual(expected);
    store = await reopen(store, { decisionsMax: 300 });
    expect(store.state.decisions.map(({ at }) => at)).toEqual(expected);
    // 300 decisions: 16 to 31 of them in the state itself, the rest in whole or begun parts of 16.
    expect((await partFiles()).length).toBeLessThanOrEqual(19);
    expect((await partFiles()).length).toBeGreaterThanOrEqual(17);
  });

  it("leave decisions in the state itself while they cannot be written", async () => {
    let store = await open();
    await writeFile(join(directory, "parts"), "in the way");
    for (let at = 0; at < 50; at += 1) {
      await store.update((state) => withDecision(state, aDecision({ at })));
    }
    store = await reopen(store);
    expect(store.state.decisions).toHaveLength(50);
    await rm(join(directory, "parts"));
    // The first one finds the way free, the second one names what was written behind it.
    for (const at of [50, 51]) {
      await store.update((state) => withDecision(state, aDecision({ at })));
    }
    store = await reopen(store);
    expect(store.state.decisions.map(({ at }) => at)).toEqual(
      Array.from({ length: 52 }, (_, at) => at),
    );
    expect((await partFiles()).length).toBe(2);
  });
});

describe("a damaged part", () => {
  it("is set aside and said, and everything else stays", async () => {
    const store = await open();
    for (const name of ["a", "b"]) {
      await store.update((state) => withProfile(state, profileOf(name)));
    }
    await store.update((state) => withPipeline(state, { name: "p", revision: 4, plan: aPlan() }));
    const { epoch } = store.state;
    await store.stop();
    const sha256 = createHash("sha256")
      .update(JSON.stringify(store.state.profiles[0]))
      .digest("hex");
    const path = join(directory, "parts", `${sha256}.json`);
    await writeFile(path, (await readFile(path, "utf8")).replace("12", "13"));
    const again = await open();
    expect(names(again)).toEqual(["b"]);
    expect(again.state.epoch).toBe(epoch);
    expect(again.state.pipelines[0]?.revision).toBe(4);
    expect(again.notice).toMatch(/a profile was unreadable: .*checksum is wrong.*set aside as/);
    expect((await partFiles()).filter((name) => name.includes(".corrupt-"))).toHaveLength(1);
    // It may come again, as an agent that republishes it would have it.
    await again.update((state) => withProfile(state, profileOf("a")));
    const last = await reopen(again);
    expect(names(last)).toEqual(["b", "a"]);
    expect(last.notice).toBeUndefined();
  });

  it("that is missing is no reason to start empty", async () => {
    const store = await open();
    await store.update((state) => withProfile(state, profileOf("a")));
    await store.update((state) => withPipeline(state, { name: "p", revision: 1, plan: null }));
    await store.stop();
    await rm(join(directory, "parts"), { recursive: true });
    const again = await open();
    expect(again.state.pipelines[0]?.revision).toBe(1);
    expect(names(again)).toEqual([]);
    expect(again.notice).toContain("a profile was unreadable");
  });

  it("left over by a killed writer goes at the next start", async () => {
    const store = await open();
    await store.update((state) => withProfile(state, profileOf("a")));
    await store.stop();
    const kept = await partFiles();
    await writeFile(join(directory, "parts", `${"0".repeat(64)}.json`), "{}");
    await writeFile(join(directory, "parts", `${"0".repeat(64)}.json.tmp-1`), "{");
    await open();
    expect(await partFiles()).toEqual(kept);
  });
});

describe("a state file of the version before parts", () => {
  it("is read, and written anew in parts", async () => {
    const state = {
      epoch: "old-epoch",
      pipelines: [{ name: "p", revision: 3, plan: aPlan({ epoch: "old-epoch", revision: 3 }) }],
      profiles: [profileOf("a")],
      decisions: [aDecision()],
      lastBenchmarks: [{ sha256: "c".repeat(64), node: "cam-1", at: 7 }],
      links: [],
    };
    const sha256 = createHash("sha256")
      .update(`7\n${JSON.stringify(state)}`)
      .digest("hex");
    const envelope = { format: "scissiond-state", version: 1, sequence: 7, sha256, data: state };
    for (const name of ["state.json", "state.json.bak"]) {
      await writeFile(join(directory, name), JSON.stringify(envelope));
    }
    const store = await open();
    expect(store.state).toEqual(state);
    expect(store.notice).toBeUndefined();
    await store.update((before) => withDecision(before, aDecision({ at: 5 })));
    expect(await partFiles()).toHaveLength(1);
    expect((await reopen(store)).state.epoch).toBe("old-epoch");
  });
});
