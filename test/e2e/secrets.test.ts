import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { UPDATES_SUBPROTOCOL } from "../../src/protocol/index.js";
import { tokenClient } from "../support/clients.js";
import { freePort, kill, type RunningProcess, spawnScissiond } from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { siteYaml, writeSite } from "../support/site.js";

const OLD = "old-token-1f6c";
const NEW = "new-token-77aa";
const WRONG = "wrong-token-9e3b";
const PASSWORD = "mqtt-password-5d21";
/** Throws where nobody catches it. */
const CRASH = "process.on('SIGUSR2', () => { throw new Error('provoked'); })";

describe("a daemon with secrets, at log level debug", () => {
  let site: Awaited<ReturnType<typeof writeSite>>;
  let daemon: RunningProcess;
  let [http, broker] = [0, 0];
  const file = (name: string): string => join(site.directory, name);

  const yaml = (token: string): string =>
    siteYaml({
      log: { level: "debug" },
      listen: {
        host: "0.0.0.0",
        port: http,
        tls: { certFile: "daemon.pem", keyFile: "daemon.key" },
        clients: [tokenClient("boss", "admin", { token })],
      },
      mqtt: { broker: { port: broker }, username: "scissiond", passwordFile: "mqtt-password" },
    });

  beforeEach(async () => {
    [http, broker] = [await freePort(), await freePort()];
    site = await writeSite();
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=localhost", "-keyout", "daemon.key", "-out", "daemon.pem"];
    const words = ["req", "-x509", "-days", "2", ...key, ...names];
    execFileSync("openssl", words, { cwd: site.directory, stdio: "ignore" });
    await writeFile(file("mqtt-password"), `${PASSWORD}\n`, { mode: 0o600 });
    await writeFile(site.configPath, yaml(OLD));
    daemon = spawnScissiond(["run", "--config", site.configPath], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(CRASH)}`,
    });
    await until(async () => (await get("/healthz")).status === 200, { timeoutMs: 20_000 });
  });
  afterEach(async () => {
    await kill(daemon);
    await site.remove();
  });

  function get(path: string, token?: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const options = { host: "localhost", port: http, path, headers };
      const ca = readFileSync(file("daemon.pem"));
      const asked = request({ ...options, ca }, (answer) => {
        let text = "";
        answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      });
      asked.on("error", () => resolve({ status: 0, text: "" }));
      asked.end();
    });
  }

  /** Opens the stream with the token as a browser does. */
  function follow(token: string): { socket: WebSocket; outcome: string[] } {
    const bearer = `scission.bearer.${Buffer.from(token).toString("base64url")}`;
    const outcome: string[] = [];
    const socket = new WebSocket(
      `wss://localhost:${http}/api/v1/updates`,
      [UPDATES_SUBPROTOCOL, bearer],
      { ca: readFileSync(file("daemon.pem")) },
    );
    socket.on("open", () => socket.send('{"type":"subscribe"}'));
    socket.on("message", (data: Buffer) => {
      if (data.includes('"snapshot"')) outcome.push("snapshot");
    });
    socket.on("unexpected-response", (_, response) => outcome.push(`HTTP ${response.statusCode}`));
    socket.on("close", (code) => outcome.push(`closed ${code}`));
    socket.on("error", () => undefined);
    return { socket, outcome };
  }

  it("tells none of them in log, status or crash", async () => {
    const login = { username: "scissiond", password: PASSWORD, reconnectPeriod: 0 };
    const url = `mqtt://127.0.0.1:${broker}`;
    await until(() =>
      connectAsync(url, login, false).then(
        (client) => client.endAsync().then(() => true),
        () => false,
      ),
    );
    await connectAsync(url, { ...login, password: `${PASSWORD}x` }, false).catch(() => undefined);
    const admitted = follow(OLD);
    await until(() => admitted.outcome.includes("snapshot"));
    const refused = follow(WRONG);
    await until(() => refused.outcome.includes("HTTP 401"));
    expect((await get("/api/v1/status", WRONG)).status).toBe(401);
    expect((await get(`/api/v1/status?token=${WRONG}`)).status).toBe(401);
    admitted.socket.send(`{"type":"subscribe","token":"${OLD}"}`);
    await until(() => admitted.outcome.includes("closed 4002"));
    const shown = await Promise.all(
      ["/api/v1/status", "/metrics", "/api/v1/decisions", "/"].map((path) => get(path, OLD)),
    );
    expect(shown.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    daemon.signal("SIGUSR2");
    expect(await daemon.ended).not.toBe(0);
    const output = daemon.output();
    expect(output).toContain("provoked");
    expect(output).toContain('"level":20');

    const key = await readFile(file("daemon.key"), "utf8");
    const secrets = [OLD, WRONG, PASSWORD, key.split("\n")[1]!];
    const encoded = secrets.flatMap((secret) => [
      secret,
      Buffer.from(secret).toString("base64url"),
      Buffer.from(secret).toString("base64"),
    ]);
    const everything = output + shown.map(({ text }) => text).join("\n");
    expect(encoded.filter((secret) => everything.includes(secret))).toEqual([]);
  }, 60_000);

  it("takes another token by reload: the old one's connections end, the new one's begin", async () => {
    const before = follow(OLD);
    await until(() => before.outcome.includes("snapshot"));
    await writeFile(site.configPath, yaml(NEW));
    daemon.signal("SIGHUP");
    await until(() => before.outcome.includes("closed 4006"));
    const [late, after] = [follow(OLD), follow(NEW)];
    await until(() => late.outcome.includes("HTTP 401") && after.outcome.includes("snapshot"));
    expect((await get("/api/v1/status", OLD)).status).toBe(401);
    expect((await get("/api/v1/status", NEW)).status).toBe(200);
    after.socket.terminate();
  }, 60_000);

  it("does not repeat a login that somebody wrote into a URL", async () => {
    const [name, secret] = ["scissiond", "url-password-83fe"];
    await writeFile(
      file("bad.yaml"),
      siteYaml({ mqtt: { url: `mqtt://${name}:${secret}@edge-1` } }),
    );
    const check = spawnScissiond(["check", file("bad.yaml")]);
    expect(await check.ended).toBe(78);
    expect(check.output()).toContain("mqtt.url");
    expect(check.output()).not.toContain(secret);
  }, 30_000);
});
