import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { PublisherApi, Snapshot } from "../../src/publisher/index.js";
import { aDecision, aPlan, aStatus } from "../support/plans.js";
import { fixedApi, type RunningPublisher, runPublisher } from "../support/publisher.js";

let publisher: RunningPublisher | undefined;
afterEach(async () => {
  await publisher?.stop();
  publisher = undefined;
});

async function start(api: Partial<PublisherApi> = {}): Promise<RunningPublisher> {
  publisher = await runPublisher({}, { api: fixedApi(api) });
  return publisher;
}

const model = "a".repeat(64);
const partition = "b".repeat(64);

describe("HTTP API", () => {
  it("answers health, and readiness with what stands in the way", async () => {
    let problems: string[] = ["no broker"];
    const { httpUrl } = await start({ problems: () => problems });
    expect((await fetch(`${httpUrl}/healthz`)).status).toBe(200);
    const notReady = await fetch(`${httpUrl}/readyz`);
    expect(notReady.status).toBe(503);
    expect(await notReady.json()).toEqual({ ready: false, problems: ["no broker"] });
    problems = [];
    expect((await fetch(`${httpUrl}/readyz`)).status).toBe(200);
  });

  it("serves metrics with their content type", async () => {
    const { httpUrl } = await start();
    const answer = await fetch(`${httpUrl}/metrics`);
    expect(answer.headers.get("content-type")).toBe("text/plain");
    expect(await answer.text()).toBe("scission_up 1\n");
  });

  it("serves status, pipelines and decisions", async () => {
    const decisions = [aDecision({ at: 3 }), aDecision({ at: 2, pipeline: "door" }), aDecision()];
    const { httpUrl } = await start({ decisions: () => decisions });
    const json = async (path: string): Promise<unknown> => (await fetch(httpUrl + path)).json();
    expect(await json("/api/v1/status")).toEqual(aStatus());
    expect(await json("/api/v1/pipelines")).toEqual({ pipelines: [] });
    expect(await json("/api/v1/decisions")).toEqual({ decisions });
    expect(await json("/api/v1/decisions?pipeline=camera&limit=1")).toEqual({
      decisions: [decisions[0]],
    });
    expect((await fetch(`${httpUrl}/api/v1/decisions?limit=0`)).status).toBe(400);
  });

  it("serves the plan in force, and 304 to those who have it", async () => {
    const { httpUrl } = await start();
    const offer = (snapshot: Snapshot): void => publisher!.offer(snapshot);
    const url = `${httpUrl}/api/v1/pipelines/camera/plan`;
    expect((await fetch(url)).status).toBe(404);
    offer({ epoch: "epoch-1", plans: [aPlan()] });
    const answer = await fetch(url);
    expect(await answer.json()).toEqual(aPlan());
    const etag = answer.headers.get("etag")!;
    const again = (headers: Record<string, string>): Promise<Response> => fetch(url, { headers });
    expect((await again({ "If-None-Match": `"other", W/${etag}` })).status).toBe(304);
    offer({ epoch: "epoch-1", plans: [aPlan({ revision: 2 })] });
    expect((await again({ "If-None-Match": etag })).status).toBe(200);
  });

  it("renders the page with foreign names escaped, under a policy without scripts", async () => {
    const hostile = '<script>alert("x")</script>';
    const { httpUrl } = await start({ status: () => aStatus({ problems: [hostile] }) });
    const answer = await fetch(httpUrl);
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
    const text = await answer.text();
    expect(text).toContain("&lt;script&gt;");
    expect(text).not.toContain("<script");
  });

  it.each([
    ["GET", "/nonsense", 404, "NOT_FOUND"],
    ["GET", "/api/v1/pipelines/__proto__/plan", 404, "NOT_FOUND"],
    ["GET", "/api/v1/models/short", 404, "NOT_FOUND"],
    ["GET", `/api/v1/models/${model}`, 404, "NOT_FOUND"],
    ["GET", `/api/v1/models/${model}/partitions/..%2f..%2fetc%2fpasswd`, 404, "NOT_FOUND"],
    ["POST", "/api/v1/status", 405, "METHOD_NOT_ALLOWED"],
    ["GET", "/api/v1/updates", 426, "UPGRADE_REQUIRED"],
  ])("answers %s %s with %i as JSON", async (...row) => {
    const [method, path, status, code] = row;
    const { httpUrl } = await start();
    const answer = await fetch(httpUrl + path, { method });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ error: { code } });
  });

  it("answers a fault in the daemon with 500 and stays up", async () => {
    const status = (): never => {
      throw new Error("a secret detail");
    };
    const { httpUrl } = await start({ status });
    const answer = await fetch(`${httpUrl}/api/v1/status`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret");
    expect((await fetch(`${httpUrl}/healthz`)).status).toBe(200);
  });
});

describe("artifacts", () => {
  const content = Buffer.from("0123456789");
  const url = (): string =>
    `${publisher!.httpUrl}/api/v1/models/${model}/partitions/${partition}.onnx`;
  let directory: string;
  let path: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "scissiond-http-"));
    path = join(directory, "partition.onnx");
    await writeFile(path, content);
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function ask(headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
    publisher ??= await start({
      artifactPath: (request) =>
        request.kind === "partition" && request.partitionSha256 === partition ? path : undefined,
    });
    return await fetch(url(), { headers, method });
  }

  it("serves the whole file, its length and hash", async () => {
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).toBe(`"${partition}"`);
    expect(answer.headers.get("content-length")).toBe("10");
    expect(answer.headers.get("accept-ranges")).toBe("bytes");
    expect(await answer.text()).toBe(content.toString());
  });

  it("answers HEAD without a body and If-None-Match with 304", async () => {
    const head = await ask({}, "HEAD");
    expect(head.headers.get("content-length")).toBe("10");
    expect(await head.text()).toBe("");
    expect((await ask({ "If-None-Match": `"${partition}"` })).status).toBe(304);
    expect((await ask({ "If-None-Match": '"other"' })).status).toBe(200);
  });

  it.each([
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=4-", 206, "456789", "bytes 4-9/10"],
    ["bytes=-3", 206, "789", "bytes 7-9/10"],
    ["bytes=-30", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=8-99", 206, "89", "bytes 8-9/10"],
    ["bytes=5-2", 200, "0123456789", null],
    ["bytes=0-1,4-5", 200, "0123456789", null],
    ["lines=0-1", 200, "0123456789", null],
  ])("serves the range %s with %i", async (...row) => {
    const [range, status, text, contentRange] = row;
    const answer = await ask({ Range: range });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(text);
    expect(answer.headers.get("content-range")).toBe(contentRange);
  });

  it.each(["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"])(
    "refuses the range %s with 416 and the size",
    async (range) => {
      const answer = await ask({ Range: range });
      expect(answer.status).toBe(416);
      expect(answer.headers.get("content-range")).toBe("bytes */10");
    },
  );

  it("ignores a range of another version of the file", async () => {
    expect((await ask({ Range: "bytes=0-3", "If-Range": '"other"' })).status).toBe(200);
    expect((await ask({ Range: "bytes=0-3", "If-Range": `"${partition}"` })).status).toBe(206);
  });

  it("answers 404 where the file has vanished", async () => {
    publisher = await start({ artifactPath: () => join(directory, "gone") });
    expect((await ask()).status).toBe(404);
  });
});

describe("listening", () => {
  it("refuses to listen beyond loopback unless told so", async () => {
    await expect(runPublisher({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "LISTEN_UNPROTECTED",
    });
    publisher = await runPublisher({ host: "0.0.0.0", allowUnprotected: true });
    expect((await fetch(`${publisher.httpUrl}/healthz`)).status).toBe(200);
  });

  it("fails with LISTEN_FAILED when the port is taken, and leaves nothing behind", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    await expect(runPublisher({ port })).rejects.toMatchObject({ code: "LISTEN_FAILED" });
    await new Promise((resolve) => other.close(resolve));
    publisher = await runPublisher({ port });
  });
});
