import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** What somebody else's program looks like. */
const CONSUMER = `
import { filePlanCache, subscribe, type Update } from "scissiond/client";
const stop = new AbortController();
const runtime = subscribe("http://127.0.0.1:9", {
  role: "runtime",
  node: "cam-1",
  cache: filePlanCache("no-such-file.json"),
  signal: stop.signal,
  async prepare(plan, signal) {
    const path: string = plan.partitions[0]?.artifact.path ?? "";
    if (path === "" || signal.aborted) throw new Error("nothing to load");
  },
  onConnection: (state) => {
    if (state.kind === "disconnected") stop.abort();
  },
});
let last: Update | undefined;
for await (const update of runtime) last = update;
const sent: boolean = runtime.report({ pipeline: "p", revision: 1, stages: [], transfers: [], busy: false });
console.log("ended", last === undefined, sent);
`;

/** In a browser: no types of Node, and the entry that bundlers take there. */
const PAGE = `
import { storagePlanCache, subscribe } from "scissiond/client";
const updates = subscribe(location.origin, { cache: storagePlanCache(localStorage) });
for await (const update of updates) document.title = String(update.plans.size);
// @ts-expect-error: a page chooses no certificates.
subscribe(location.origin, { tls: { ca: "" } });
// @ts-expect-error: there are no files in a browser.
import { filePlanCache } from "scissiond/client";
`;

const SCHEMAS = `
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
console.log(Object.keys(require("scissiond/messages.schema.json").$defs).length > 10);
console.log(require("scissiond/asyncapi.json").asyncapi);
console.log(require("scissiond/scissiond.schema.json").$schema !== undefined);
console.log(require("scissiond/agent.schema.json").$schema !== undefined);
`;

describe("the package as others install it", () => {
  let directory = "";
  const write = (name: string, text: string): Promise<void> =>
    writeFile(join(directory, name), text);
  const node = async (...words: string[]): Promise<string> =>
    (await run(process.execPath, words, { cwd: directory })).stdout;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-package-"));
    const installed = join(directory, "node_modules/scissiond");
    await mkdir(installed, { recursive: true });
    const words = ["pack", "--ignore-scripts", "--json", "--pack-destination", directory];
    const { stdout } = await run("npm", words, { cwd: ROOT, maxBuffer: 10_000_000 });
    const [packed] = JSON.parse(stdout) as { filename: string }[];
    const tarball = join(directory, packed!.filename);
    await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
    for (const name of ["zod", "ws"]) {
      await symlink(join(ROOT, "node_modules", name), join(directory, "node_modules", name));
    }
    await write("package.json", '{"type": "module"}');
  }, 60_000);
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("has types that a strict program in Node accepts, and runs", async () => {
    await write("consumer.ts", CONSUMER);
    const nodeTypes = ["--types", "node", "--typeRoots", join(ROOT, "node_modules/@types")];
    const strict = ["--strict", "--target", "es2022", "--module", "nodenext"];
    await node(TSC, ...strict, ...nodeTypes, "--lib", "es2023", "consumer.ts");
    expect(await node("consumer.js")).toBe("ended true false\n");
  }, 60_000);

  it("has types that a page accepts, without those of Node", async () => {
    await write("page.ts", PAGE);
    const bundler = ["--module", "esnext", "--moduleResolution", "bundler"];
    const browser = ["--customConditions", "browser", "--lib", "es2023,dom"];
    const words = [...bundler, ...browser, "--strict", "--target", "es2022", "--noEmit"];
    expect(await node(TSC, ...words, "page.ts").catch(outputOf)).toBe("");
  }, 60_000);

  it("brings the schemas", async () => {
    await write("schemas.mjs", SCHEMAS);
    expect(await node("schemas.mjs")).toBe("true\n3.0.0\ntrue\ntrue\n");
  });
});

function outputOf(error: unknown): string {
  return (error as { stdout: string }).stdout;
}
