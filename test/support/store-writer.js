// Run as a child and killed at any moment by test/store/kill.test.ts: publishes revision after
// revision, and says on standard output what it found and what the store acknowledged.
import { randomUUID } from "node:crypto";
import { writeSync } from "node:fs";
import { openStore, storeOptionsSchema, withPipeline } from "../../dist/store/index.js";

const [directory = "", updates = "1000000"] = process.argv.slice(2);
const ignore = () => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => log };
const say = (...words) => writeSync(1, `${words.join(" ")}\n`);

const store = await openStore(
  { ...storeOptionsSchema.parse({}), directory },
  { log, clock: { nowMs: () => Date.now() }, newId: randomUUID },
);
const { epoch, pipelines } = store.state;
let revision = pipelines[0]?.revision ?? 0;
say("opened", epoch, revision, store.notice === undefined ? "well" : "recovered");
for (let update = 0; update < Number(updates); update += 1) {
  revision += 1;
  await store.update((state) => withPipeline(state, { name: "p", revision, plan: null }));
  say("acknowledged", epoch, revision);
}
await store.stop();
