import { request } from "node:https";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { subscribe } from "../../src/client/index.js";
import { UPDATES_SUBPROTOCOL } from "../../src/protocol/index.js";
import { clientOptionsSchema } from "../../src/publisher/options.js";
import { type Certificates, makeCertificates } from "../support/certificates.js";
import { tokenClient } from "../support/clients.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";

const CLIENTS = [
  tokenClient("screen", "observer", { token: "eyes-only" }),
  tokenClient("camera", "runtime", { nodes: ["cam-1"], token: "köln/+=" }),
  tokenClient("boss", "admin", { token: "all-of-it" }),
];

let running: RunningPublisher[] = [];
afterEach(async () => {
  await Promise.all(running.map((publisher) => publisher.stop()));
  running = [];
});

async function start(options: Record<string, unknown> = {}): Promise<RunningPublisher> {
  const publisher = await runPublisher({ clients: CLIENTS, ...options });
  running.push(publisher);
  publisher.offer({ epoch: "epoch-1", plans: [aPlan()] });
  return publisher;
}

function get(publisher: RunningPublisher, path: string, token?: string): Promise<Response> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(`${publisher.httpUrl}${path}`, { headers });
}

/** Opens the stream and subscribes; resolves with the first message's type or the way it was refused. */
async function attempt(
  publisher: RunningPublisher,
  how: { token?: string; subprotocols?: string[]; hello?: object },
): Promise<string> {
  const { token, subprotocols = [UPDATES_SUBPROTOCOL], hello = {} } = how;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const socket = new WebSocket(publisher.updatesUrl, subprotocols, { headers });
  return new Promise((resolve) => {
    socket.on("open", () => socket.send(JSON.stringify({ type: "subscribe", ...hello })));
    socket.on("message", (data: Buffer) => {
      resolve(`${(JSON.parse(data.toString()) as { type: string }).type} over ${socket.protocol}`);
      socket.terminate();
    });
    socket.on("unexpected-response", (_, response) => {
      resolve(`HTTP ${response.statusCode}`);
      response.resume();
      socket.terminate();
    });
    socket.on("close", (code) => resolve(`closed ${code}`));
    socket.on("error", () => undefined);
  });
}

describe("clients with tokens", () => {
  it("tells strangers nothing but whether the daemon lives", async () => {
    const publisher = await start();
    for (const token of [undefined, "wrong", "eyes-onlyx", "x".repeat(5_000)]) {
      const answer = await get(publisher, "/api/v1/status", token);
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    }
    expect((await get(publisher, "/metrics")).status).toBe(401);
    expect((await get(publisher, "/")).status).toBe(401);
    expect(await (await get(publisher, "/healthz")).json()).toEqual({ status: "ok" });
    expect(await (await get(publisher, "/readyz")).json()).toEqual({ ready: true });
    expect(await attempt(publisher, {})).toBe("HTTP 401");
    expect(await attempt(publisher, { token: "wrong" })).toBe("HTTP 401");
  });

  it("gives each role what it needs", async () => {
    const publisher = await start();
    const model = `/api/v1/models/${"a".repeat(64)}`;
    expect((await get(publisher, "/api/v1/status", "eyes-only")).status).toBe(200);
    expect((await get(publisher, model, "eyes-only")).status).toBe(403);
    // No such file, but it was looked for. Header values are Latin-1, tokens UTF-8: ASCII is safe.
    expect((await get(publisher, model, "all-of-it")).status).toBe(404);
  });

  it("lets a runtime speak for its own nodes only, and an observer for none", async () => {
    const publisher = await start();
    const camera = { role: "runtime", node: "cam-1" };
    const server = { role: "runtime", node: "gpu-1" };
    const bearer = `scission.bearer.${Buffer.from("köln/+=").toString("base64url")}`;
    const subprotocols = [UPDATES_SUBPROTOCOL, bearer];
    const ok = `snapshot over ${UPDATES_SUBPROTOCOL}`;
    expect(await attempt(publisher, { subprotocols, hello: camera })).toBe(ok);
    expect(await attempt(publisher, { subprotocols, hello: server })).toBe("closed 4006");
    expect(await attempt(publisher, { subprotocols, hello: { role: "runtime" } })).toBe(
      "closed 4006",
    );
    expect(await attempt(publisher, { subprotocols })).toBe(ok);
    expect(await attempt(publisher, { token: "eyes-only", hello: camera })).toBe("closed 4006");
    expect(await attempt(publisher, { token: "eyes-only" })).toBe(ok);
    expect(await attempt(publisher, { token: "all-of-it", hello: server })).toBe(ok);
  });

  it("closes the connections of a client that is taken off the list, and no others", async () => {
    const publisher = await start();
    const stop = new AbortController();
    const reasons: string[] = [];
    const follow = async (token: string): Promise<void> => {
      const updates = subscribe(publisher.httpUrl, {
        token,
        signal: stop.signal,
        onConnection: (state) => {
          if (state.kind === "disconnected") reasons.push(`${token}: ${state.reason}`);
        },
      });
      for await (const update of updates) expect(update.kind).toBe("snapshot");
    };
    const following = [follow("eyes-only"), follow("all-of-it")];
    await until(() => publisher.subscribers() === 2);
    publisher.setClients([clientOptionsSchema.parse(CLIENTS[2])]);
    await until(() => reasons.length === 1);
    expect(reasons[0]).toContain("eyes-only: closed by the daemon: 4006");
    expect(publisher.subscribers()).toBe(1);
    expect((await get(publisher, "/api/v1/status", "eyes-only")).status).toBe(401);
    stop.abort();
    await Promise.all(following);
  });

  it("opens beyond loopback only where strangers are kept out", async () => {
    await expect(runPublisher({ host: "0.0.0.0" })).rejects.toMatchObject({
      code: "LISTEN_UNPROTECTED",
    });
    await expect(runPublisher({ host: "0.0.0.0", clients: CLIENTS })).rejects.toMatchObject({
      code: "LISTEN_UNPROTECTED",
    });
    running.push(await runPublisher({ host: "0.0.0.0", allowUnprotected: true }));
  });
});

describe("TLS", () => {
  let certificates: Certificates;
  const file = (name: string): string => certificates.path(name);

  beforeAll(() => {
    certificates = makeCertificates({ server: "localhost", client: "camera-7" });
  });
  afterAll(() => certificates.remove());

  function status(
    publisher: RunningPublisher,
    credentials: { cert?: Buffer; key?: Buffer; token?: string },
  ): Promise<number> {
    const { token, ...certificate } = credentials;
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: "127.0.0.1",
          port: publisher.port,
          path: "/api/v1/status",
          servername: "localhost",
          ca: readFileSync(file("ca.pem")),
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          ...certificate,
        },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        },
      );
      asked.on("error", reject);
      asked.end();
    });
  }

  it("knows clients by certificate or by token, and opens beyond loopback with them", async () => {
    const publisher = await start({
      host: "0.0.0.0",
      tls: {
        certFile: file("server.pem"),
        keyFile: file("server.key"),
        clientCaFile: file("ca.pem"),
      },
      clients: [
        ...CLIENTS,
        { name: "camera-7", role: "runtime", nodes: ["cam-7"], certificateName: "camera-7" },
      ],
    });
    const own = { cert: readFileSync(file("client.pem")), key: readFileSync(file("client.key")) };
    expect(await status(publisher, own)).toBe(200);
    expect(await status(publisher, { token: "eyes-only" })).toBe(200);
    expect(await status(publisher, {})).toBe(401);
    const server = {
      cert: readFileSync(file("server.pem")),
      key: readFileSync(file("server.key")),
    };
    expect(await status(publisher, server)).toBe(401);
  });

  it("says which certificate is no good", async () => {
    const tls = { certFile: file("missing.pem"), keyFile: file("server.key") };
    await expect(runPublisher({ tls })).rejects.toThrow(/listen\.tls: .*missing\.pem/);
    const mixed = { certFile: file("server.pem"), keyFile: file("client.key") };
    await expect(runPublisher({ tls: mixed })).rejects.toThrow(/listen\.tls: .*no good/);
  });
});
