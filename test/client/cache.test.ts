import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { filePlanCache, subscribe, type Update } from "../../src/client/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { runPublisher } from "../support/publisher.js";

const NOBODY = "http://127.0.0.1:9";
const quick = { reconnectMinSeconds: 0.01, reconnectMaxSeconds: 0.05 };

let directory = "";
let file = "";
let teardown: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-cache-"));
  file = join(directory, "plans.json");
});
afterEach(async () => {
  for (const step of teardown.reverse()) await step();
  teardown = [];
  await rm(directory, { recursive: true, force: true });
});

function follow(url: string, options: Parameters<typeof subscribe>[1] = {}): Update[] {
  const updates: Update[] = [];
  const stop = new AbortController();
  const done = (async () => {
    const signal = stop.signal;
    const cache = filePlanCache(file);
    for await (const update of subscribe(url, { cache, signal, connection: quick, ...options })) {
      updates.push(update);
    }
  })();
  teardown.push(async () => {
    stop.abort();
    await done;
  });
  return updates;
}

describe("a subscriber with a cache", () => {
  it("starts with its last plans when no daemon answers", async () => {
    const publisher = await runPublisher();
    teardown.push(() => publisher.stop());
    publisher.offer({ epoch: "epoch-1", plans: [aPlan()] });
    const first = follow(publisher.httpUrl);
    await until(() => first.length === 1);
    publisher.offer({ epoch: "epoch-1", plans: [aPlan({ revision: 2 })] });
    await until(() => first.length === 2);
    await until(async () => (await readFile(file, "utf8")).includes('"revision":2'));
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const second = follow(NOBODY);
    await until(() => second.length === 1);
    expect(second[0]).toMatchObject({
      kind: "snapshot",
      origin: "cache",
      changed: [{ pipeline: "camera", revision: 2 }],
    });
  });

  it("says what it has, and hears only what is new", async () => {
    await filePlanCache(file).save([aPlan(), aPlan({ pipeline: "door" })]);
    const publisher = await runPublisher();
    teardown.push(() => publisher.stop());
    publisher.offer({
      epoch: "epoch-1",
      plans: [aPlan(), aPlan({ pipeline: "door", revision: 2 })],
    });
    const updates = follow(publisher.httpUrl, { role: "runtime", node: "cam-1" });
    await until(() => updates.length === 2);
    expect(updates[1]).toMatchObject({ origin: "daemon", kind: "snapshot" });
    expect(updates[1]!.kind === "snapshot" && updates[1]!.changed).toMatchObject([
      { pipeline: "door", revision: 2 },
    ]);
  });

  it.each(["", "no JSON", "[]", '[{"pipeline":"camera"}]', "x".repeat(100_000)])(
    "does without a damaged file",
    async (text) => {
      await writeFile(file, text);
      expect(await filePlanCache(file).load()).toEqual([]);
    },
  );

  it("goes on when the cache cannot be written", async () => {
    const publisher = await runPublisher();
    teardown.push(() => publisher.stop());
    publisher.offer({ epoch: "epoch-1", plans: [aPlan()] });
    const errors: unknown[] = [];
    const updates = follow(publisher.httpUrl, {
      cache: filePlanCache(join(directory, "no", "such", "directory")),
      onCacheError: (error) => errors.push(error),
    });
    await until(() => errors.length === 1);
    publisher.offer({ epoch: "epoch-1", plans: [aPlan({ revision: 2 })] });
    await until(() => updates.length === 2);
  });

  it("does not start with plans that it cannot put in force", async () => {
    await filePlanCache(file).save([aPlan()]);
    const refused: number[] = [];
    const updates = follow(NOBODY, {
      activate: (plan) => {
        refused.push(plan.revision);
        throw new Error("the file of the sub-model is gone");
      },
    });
    await until(() => refused.length === 1);
    expect(updates).toEqual([]);
  });
});
