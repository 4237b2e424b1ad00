import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { download } from "../../src/agent/download.js";
import { openModelCache } from "../../src/agent/model-cache.js";
import type { TlsOptions } from "../../src/client/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { type Certificates, makeCertificates } from "../support/certificates.js";

const body = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251));
const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const sha256 = sha256Of(body);
const HALF = 100_000;

let directory: string;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-download-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await rm(directory, { recursive: true, force: true });
});

interface Server {
  url: URL;
  /** The header Range of each request. */
  ranges: (string | undefined)[];
}

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<Server> {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response, ranges.length);
  });
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { url: new URL(`http://127.0.0.1:${port}/file`), ranges };
}

/** Breaks off the first answer half way; the others go on where they are asked to. */
function breaking(request: IncomingMessage, response: ServerResponse, count: number): void {
  if (count === 1) {
    response.writeHead(200, { "content-length": body.length });
    response.write(body.subarray(0, HALF), () => response.destroy());
    return;
  }
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-range": `bytes ${from}-${body.length - 1}/${body.length}`,
  });
  response.end(body.subarray(from));
}

function fetchTo(path: string, url: URL, tls: TlsOptions = {}): Promise<void> {
  const source = { url, token: undefined, tls, sha256, bytesMax: 1_000_000, timeoutMs: 20_000 };
  return download(source, path, { log: silentLogger, signal: new AbortController().signal });
}

describe("a download", () => {
  it("goes on where the last attempt ended", async () => {
    const { url, ranges } = await serve(breaking);
    const path = join(directory, "model.onnx");
    await expect(fetchTo(path, url)).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
    expect(await readdir(directory)).toEqual(["model.onnx.part"]);
    await fetchTo(path, url);
    expect(await readFile(path)).toEqual(body);
    expect(ranges[0]).toBeUndefined();
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
    expect(await readdir(directory)).toEqual(["model.onnx"]);
  });

  it("keeps what it has while the server has no answer", async () => {
    const { url, ranges } = await serve((request, response, count) => {
      if (count !== 2) breaking(request, response, count);
      else response.writeHead(503).end();
    });
    const path = join(directory, "model.onnx");
    await expect(fetchTo(path, url)).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
    await expect(fetchTo(path, url)).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
    await fetchTo(path, url);
    expect(await readFile(path)).toEqual(body);
    expect(ranges[2]).toBe(ranges[1]);
  });

  it("begins anew where the server does, and when what is there turns out to be wrong", async () => {
    const { url, ranges } = await serve((_, response) => response.end(body));
    const path = join(directory, "model.onnx");
    await writeFile(`${path}.part`, body.subarray(0, HALF));
    await fetchTo(path, url);
    expect(await readFile(path)).toEqual(body);
    expect(ranges).toEqual([`bytes=${HALF}-`]);

    const other = await serve(breaking);
    await writeFile(`${path}.part`, Buffer.alloc(HALF, 1));
    other.ranges.push(undefined);
    await expect(fetchTo(path, other.url)).rejects.toMatchObject({ code: "MODEL_UNREADABLE" });
    await fetchTo(path, other.url);
    expect(await readFile(path)).toEqual(body);
  });

  it("trusts a daemon of its own authority and shows its certificate", async () => {
    const [ours, foreign] = [
      makeCertificates({ daemon: "localhost", agent: "cam-1" }),
      makeCertificates({ agent: "cam-1" }),
    ];
    closers.push(
      () => ours.remove(),
      () => foreign.remove(),
    );
    const server = createSecureServer(
      {
        cert: ours.text("daemon.pem"),
        key: ours.text("daemon.key"),
        ca: ours.text("ca.pem"),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (_, response) => response.end(body),
    );
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const url = new URL(`https://localhost:${port}/file`);
    const path = join(directory, "model.onnx");
    const certificateOf = (from: Certificates): TlsOptions => ({
      cert: from.text("agent.pem"),
      key: from.text("agent.key"),
    });
    const ca = ours.text("ca.pem");
    for (const tls of [{}, certificateOf(ours), { ca, ...certificateOf(foreign) }]) {
      await expect(fetchTo(path, url, tls)).rejects.toMatchObject({ code: "DAEMON_UNREACHABLE" });
    }
    await fetchTo(path, url, { ca, ...certificateOf(ours) });
    expect(await readFile(path)).toEqual(body);
  });

  it("names a disk that is full, leaves what was there, and keeps no half file", async () => {
    const { url } = await serve((_, response) => response.end(body));
    await writeFile(join(directory, "good.onnx"), "good");
    const built = new URL("../../dist/agent/download.js", import.meta.url);
    const script = `
      import { download } from ${JSON.stringify(built.href)};
      const log = { info() {} };
      const source = { url: new URL(${JSON.stringify(url.href)}), sha256: "${sha256}", bytesMax: 1e6, timeoutMs: 2e4 };
      const [signal, path] = [new AbortController().signal, process.argv[1]];
      await download(source, path, { log, signal }).catch(({ code }) => console.log(code));`;
    // No file of more than 64 KiB: to the process that is a disk without room.
    const limited = `trap '' XFSZ; ulimit -f 64; exec "$0" --input-type=module -e "$1" "$2"`;
    const words = ["-c", limited, process.execPath, script, join(directory, "model.onnx")];
    const { stdout } = await promisify(execFile)("bash", words);
    expect(stdout.trim()).toBe("STORE_WRITE_FAILED");
    expect(await readdir(directory)).toEqual(["good.onnx"]);
  });
});

describe("a model with files beside it", () => {
  const model = Buffer.from("the model");
  const weights = Buffer.from("its weights");
  const wanted = (location: string) => ({
    name: "split",
    sha256: sha256Of(model),
    sidecars: [{ location, bytes: weights.length, sha256: sha256Of(weights) }],
  });

  async function cacheOn(url: URL) {
    const limits = { modelBytesMax: 1_000, cacheBytesMax: 10_000, downloadTimeoutMs: 5_000 };
    const options = { directory, daemonUrl: url.origin, daemonTls: {}, limits };
    return openModelCache(options, { log: silentLogger, clock: systemClock });
  }
  const serveBoth = (): Promise<Server> =>
    serve(({ url = "" }, response) => {
      const isSidecar = url.endsWith(`/sidecars/${sha256Of(weights)}`);
      response.end(isSidecar ? weights : model);
    });

  it("is laid out as the model names them", async () => {
    const { url, ranges } = await serveBoth();
    const cache = await cacheOn(url);
    const { signal } = new AbortController();
    const path = await cache.fetch(wanted("data/w.bin"), signal);
    expect(await readFile(path)).toEqual(model);
    expect(await readFile(join(path, "..", "data", "w.bin"))).toEqual(weights);
    await cache.fetch(wanted("data/w.bin"), signal);
    expect(ranges).toHaveLength(2);
    // What the disk lost is fetched again, and only that.
    await writeFile(join(path, "..", "data", "w.bin"), "rotten");
    await cache.fetch(wanted("data/w.bin"), signal);
    expect(ranges).toHaveLength(3);
  });

  it.each(["../w.bin", "/tmp/w.bin", "a/../../w.bin", `${sha256Of(model)}.onnx`, "", "a\0b"])(
    "is refused where a name leads elsewhere: %j",
    async (location) => {
      const { url } = await serveBoth();
      const cache = await cacheOn(url);
      const fetching = cache.fetch(wanted(location), new AbortController().signal);
      await expect(fetching).rejects.toMatchObject({ code: "MODEL_UNREADABLE" });
    },
  );
});

describe("the cache of models", () => {
  it("keeps to its size: what was unused the longest goes", async () => {
    const bodies = new Map(
      [1, 2, 3].map((byte) => {
        const body = Buffer.alloc(400, byte);
        return [sha256Of(body), body] as const;
      }),
    );
    const { url, ranges } = await serve(({ url: path = "" }, response) => {
      response.end(bodies.get(path.split("/").at(-1) ?? ""));
    });
    const limits = { modelBytesMax: 1_000, cacheBytesMax: 1_000, downloadTimeoutMs: 5_000 };
    let nowMs = 1_000_000_000_000;
    const clock = { ...systemClock, nowMs: () => (nowMs += 60_000) };
    const options = { directory, daemonUrl: url.origin, daemonTls: {}, limits };
    const cache = await openModelCache(options, { log: silentLogger, clock });
    const { signal } = new AbortController();
    const [first = "", second = "", third = ""] = bodies.keys();
    const fetchAll = async (...wanted: string[]): Promise<void> => {
      for (const sha256 of wanted) await cache.fetch({ name: "net", sha256 }, signal);
    };
    await fetchAll(first, second, first, third);
    const kept = cache.models().map(({ sha256 }) => sha256);
    expect(kept.sort()).toEqual([first, third].sort());
    expect((await readdir(directory)).sort()).toEqual(
      kept.map((sha256) => `${sha256}.onnx`).sort(),
    );
    expect(ranges).toHaveLength(3);
    await fetchAll(second);
    expect(ranges).toHaveLength(4);
  });
});
