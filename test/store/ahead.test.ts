import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/index.js";
import { openStore, type Store, storeOptionsSchema, withPipeline } from "../../src/store/index.js";
import { makeFastDirectory } from "../support/fast-directory.js";
import { ManualClock } from "../support/manual-clock.js";
import { aPlan } from "../support/plans.js";

const FILES = ["state.json", "state.json.bak", "state.json.ahead"] as const;
type Content = Record<(typeof FILES)[number], Buffer>;
const OLD = 7;
const NEW = 8;

let root: string;
let directory: string;
let ids = 0;

beforeEach(async () => {
  root = await makeFastDirectory("scissiond-ahead-");
  directory = join(root, "state");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = (): Promise<Store> =>
  openStore(
    { ...storeOptionsSchema.parse({}), directory },
    { log: silentLogger, clock: new ManualClock(), newId: () => `id-${(ids += 1)}` },
  );

/** What the files hold after this revision was acknowledged and everything behind it is done. */
async function contentAt(revision: number): Promise<Content> {
  const store = await open();
  const plan = aPlan({ epoch: store.state.epoch, revision });
  await store.update((state) => withPipeline(state, { name: "p", revision, plan }));
  await store.stop();
  const read = (name: string): Promise<Buffer> => readFile(join(directory, name));
  const [state, backup, ahead] = await Promise.all([
    read(FILES[0]),
    read(FILES[1]),
    read(FILES[2]),
  ]);
  return { "state.json": state, "state.json.bak": backup, "state.json.ahead": ahead };
}

async function found(content: Partial<Content>): Promise<{
  revision: number | undefined;
  notice: string | undefined;
  epoch: string;
}> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const [name, bytes] of Object.entries(content))
    await writeFile(join(directory, name), bytes);
  const store = await open();
  const { epoch, pipelines } = store.state;
  const revision = pipelines[0]?.revision;
  expect(pipelines[0]?.plan?.revision).toBe(revision);
  // Whatever was found goes on: the next revision is taken, and is there after a restart.
  const next = (revision ?? 0) + 1;
  await store.update((state) => withPipeline(state, { name: "p", revision: next, plan: null }));
  await store.stop();
  const again = await open();
  expect(again.state.pipelines[0]?.revision).toBe(next);
  expect(again.notice).toBeUndefined();
  await again.stop();
  return { revision, notice: store.notice, epoch };
}

/** The length of what was written, without the room behind it. */
const lengthOf = (ahead: Buffer): number => ahead.indexOf("\n") + 1;

/** Whether all of what `after` holds is there. */
function isWhole(ahead: Buffer, after: Buffer): boolean {
  const length = lengthOf(after);
  return ahead.subarray(0, length).equals(after.subarray(0, length));
}

/** So far the write of `after` over `before` has come. */
function torn(before: Buffer, after: Buffer, length: number): Buffer {
  return Buffer.concat([after.subarray(0, length), before.subarray(length)]);
}

describe("a crash while the file ahead is written", () => {
  it("after any byte leaves the old state or the new one, and nothing to complain of", async () => {
    const old = await contentAt(OLD);
    const { "state.json.ahead": after } = await contentAt(NEW);
    const length = lengthOf(after);
    const { epoch } = await found(old);
    for (let written = 0; written <= length; written += written < 150 ? 1 : 29) {
      const ahead = torn(old["state.json.ahead"], after, written);
      const state = await found({ ...old, "state.json.ahead": ahead });
      const revision = isWhole(ahead, after) ? NEW : OLD;
      expect(state, `${written} bytes`).toEqual({ revision, notice: undefined, epoch });
    }
    const whole = await found({ ...old, "state.json.ahead": torn(after, after, length) });
    expect(whole).toEqual({ revision: NEW, notice: undefined, epoch });
  });

  it("with pages of it in any order leaves the old state or the new one as well", async () => {
    const PAGE = 512;
    const old = await contentAt(OLD);
    const { "state.json.ahead": after } = await contentAt(NEW);
    const pages = Math.ceil(lengthOf(after) / PAGE);
    for (let chosen = 0; chosen < 2 ** Math.min(pages, 6); chosen += 1) {
      const ahead = Buffer.from(old["state.json.ahead"]);
      for (let page = 0; page < pages; page += 1) {
        const isWritten = Math.floor(chosen / 2 ** page) % 2 === 1;
        if (isWritten) after.copy(ahead, page * PAGE, page * PAGE, (page + 1) * PAGE);
      }
      const state = await found({ ...old, "state.json.ahead": ahead });
      const revision = isWhole(ahead, after) ? NEW : OLD;
      expect(state).toMatchObject({ revision, notice: undefined });
    }
  });
});

describe("a crash while the copies follow", () => {
  it("leaves what was acknowledged, whichever of them has it", async () => {
    const old = await contentAt(OLD);
    const after = await contentAt(NEW);
    for (const first of [old, after]) {
      for (const second of [old, after]) {
        const content = {
          "state.json": first["state.json"],
          "state.json.bak": second["state.json.bak"],
          "state.json.ahead": after["state.json.ahead"],
        };
        expect(await found(content)).toMatchObject({ revision: NEW, notice: undefined });
      }
    }
  });
});

/** What a disk may do to one file. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant("flip"), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("cut"), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("zeros"), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant("gone"), at: fc.constant(0) }),
);

function damaged(bytes: Buffer, { kind, at }: { kind: string; at: number }): Buffer | undefined {
  const length = bytes.indexOf("\n");
  const index = Math.min(length - 1, Math.floor(at * length));
  const copy = Buffer.from(bytes);
  if (kind === "gone") return undefined;
  if (kind === "cut") return copy.subarray(0, index);
  if (kind === "zeros") return copy.fill(0, index);
  copy.writeUInt8((copy[index] ?? 0) ^ 1, index);
  return copy;
}

describe("damage to any two of the three files", () => {
  it("loses nothing that was acknowledged", async () => {
    const content = await contentAt(OLD);
    const { epoch } = await found(content);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FILES), damage, damage, async (spared, one, other) => {
        const kinds = [one, other];
        const hurt: Partial<Content> = {};
        for (const name of FILES) {
          const how = name === spared ? undefined : kinds.pop();
          const bytes = how === undefined ? content[name] : damaged(content[name], how);
          if (bytes !== undefined) hurt[name] = bytes;
        }
        expect(await found(hurt)).toMatchObject({ revision: OLD, epoch });
      }),
      { numRuns: 60 },
    );
  }, 60_000);

  it("of all three is no reason not to start, and is said", async () => {
    const content = await contentAt(OLD);
    const { epoch } = await found(content);
    const hurt = Object.fromEntries(
      FILES.map((name) => [name, damaged(content[name], { kind: "flip", at: 0.5 })]),
    ) as Content;
    const state = await found(hurt);
    expect(state.revision).toBeUndefined();
    expect(state.epoch).not.toBe(epoch);
    expect(state.notice).toContain("starting empty");
  });

  it("that is no file at all is set aside", async () => {
    const content = await contentAt(OLD);
    await rm(join(directory, "state.json.ahead"));
    await mkdir(join(directory, "state.json.ahead", "in-the-way"), { recursive: true });
    const store = await open();
    expect(store.state.pipelines[0]?.revision).toBe(OLD);
    expect(store.notice).toMatch(/state.json.ahead was unreadable .*set aside/);
    await store.stop();
    expect((await readFile(join(directory, "state.json.ahead"))).length).toBe(
      content["state.json.ahead"].length,
    );
  });
});
