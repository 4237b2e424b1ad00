import { execFileSync, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connectAsync, type IClientOptions } from "mqtt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import {
  freePort,
  killedBy,
  spawnScissiond,
  statusAt,
  watchProcess,
} from "../support/daemon-process.js";
import { accepts, mosquittoPath } from "../support/mosquitto.js";
import { until } from "../support/poll.js";
import { SITE, siteYaml, writeSite } from "../support/site.js";

const EXAMPLE = join(import.meta.dirname, "../../examples/mosquitto");
const ROOT = `scission/v1/${SITE}`;
const path = mosquittoPath();

describe.skipIf(path === undefined)(
  "examples/mosquitto: TLS and an access list (skipped where Mosquitto is not installed)",
  () => {
    const cleanup: (() => Promise<unknown>)[] = [];
    let directory = "";
    let [byPassword, byCertificate] = [0, 0];
    const file = (name: string): string => join(directory, name);
    const run = (command: string, ...words: string[]): void =>
      void execFileSync(command, words, { cwd: directory, stdio: "ignore" });

    beforeAll(async () => {
      const site = await writeSite();
      cleanup.push(() => site.remove());
      directory = site.directory;
      [byPassword, byCertificate] = [await freePort(), await freePort()];
      makeCertificates(run);
      run("mosquitto_passwd", "-c", "-b", "passwords", "scissiond", "pw-scissiond");
      for (const name of ["cam-1", "gpu-1", "dashboard"]) {
        run("mosquitto_passwd", "-b", "passwords", name, `pw-${name}`);
      }
      const acl = await readFile(join(EXAMPLE, "acl"), "utf8");
      await writeFile(file("acl"), acl.replaceAll("scission/v1/default/", `${ROOT}/`));
      const config = (await readFile(join(EXAMPLE, "mosquitto.conf"), "utf8"))
        .replaceAll("/etc/mosquitto/scissiond/", `${directory}/`)
        .replace("listener 8883", `listener ${byPassword}`)
        .replace("listener 8884", `listener ${byCertificate}`)
        .replace("persistence true", "persistence false");
      // As root it would become the user mosquitto, who cannot read this directory.
      await writeFile(file("mosquitto.conf"), `${config}\nuser root\n`);
      killedBy(cleanup, watchProcess(spawn(path!, ["-c", file("mosquitto.conf")])));
      await until(() => accepts(byCertificate), { what: "mosquitto" });
    }, 60_000);
    afterAll(async () => {
      for (const step of cleanup.reverse()) await step();
    });

    const login = (name: string): IClientOptions => ({
      username: name,
      password: `pw-${name}`,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    const connect = async (options: IClientOptions, port = byPassword) => {
      const ca = await readFile(file("ca.pem"));
      return connectAsync(`mqtts://localhost:${port}`, { ca, ...options }, false);
    };

    it("lets in nobody without a login or a certificate, and nobody in clear", async () => {
      await expect(connect({ reconnectPeriod: 0 })).rejects.toThrow(/[Nn]ot authorized/);
      await expect(connect({ ...login("cam-1"), password: "wrong" })).rejects.toThrow(
        /[Nn]ot authorized/,
      );
      await expect(connect(login("cam-1"), byCertificate)).rejects.toThrow();
      const clear = connectAsync(`mqtt://localhost:${byPassword}`, login("cam-1"), false);
      await expect(clear).rejects.toThrow();
    });

    it("lets each agent write its own topics and no other's", async () => {
      const [daemon, camera, screen] = [
        await connect(login("scissiond")),
        await connect(login("cam-1")),
        await connect(login("dashboard")),
      ];
      const heard: string[] = [];
      const overheard: string[] = [];
      daemon.on("message", (topic) => heard.push(topic.slice(ROOT.length + 1)));
      camera.on("message", (topic) => overheard.push(topic.slice(ROOT.length + 1)));
      await daemon.subscribeAsync(`${ROOT}/#`, { qos: 1 });
      await camera.subscribeAsync(`${ROOT}/#`, { qos: 1 });
      const say = (client: typeof daemon, topic: string) =>
        client.publishAsync(`${ROOT}/${topic}`, "{}", { qos: 1 });
      const model = "a".repeat(64);
      const own = [
        "nodes/cam-1/state",
        `nodes/cam-1/profiles/${model}`,
        "nodes/cam-1/progress",
        "nodes/cam-1/responses/benchmark",
        "links/cam-1/gpu-1",
        "links/gpu-1/cam-1",
      ];
      const foreign = [
        "nodes/gpu-1/state",
        `nodes/gpu-1/profiles/${model}`,
        "nodes/gpu-1/responses/benchmark",
        "nodes/cam-1/commands/benchmark",
        "nodes/gpu-1/commands/benchmark",
        "links/edge-1/gpu-1",
        "partitions/vision-cam-1",
      ];
      for (const topic of foreign) await say(camera, topic);
      for (const topic of ["nodes/dashboard/state", "links/dashboard/cam-1", ...foreign]) {
        await say(screen, topic);
      }
      for (const topic of own) await say(camera, topic);
      await until(() => heard.length >= own.length, { what: "what the camera may say" });
      expect(heard).toEqual(own);
      for (const topic of ["partitions/vision-cam-1", "nodes/gpu-1/commands/benchmark"]) {
        await say(daemon, topic);
      }
      await say(daemon, "nodes/cam-1/commands/benchmark");
      await until(() => overheard.includes("nodes/cam-1/commands/benchmark"));
      expect(overheard).toEqual(["nodes/cam-1/state", "nodes/cam-1/commands/benchmark"]);
      for (const client of [daemon, camera, screen]) await client.endAsync(true);
    });

    it("carries a whole site: real daemon and agents, by password and by certificate", async () => {
      const [http, edge, camera] = [await freePort(), await freePort(), await freePort()];
      const daemonUrl = `http://127.0.0.1:${http}`;
      const reconnect = { minMs: 50, maxMs: 200 };
      for (const name of ["scissiond", "cam-1"]) {
        await writeFile(file(`${name}.password`), `pw-${name}\n`, { mode: 0o600 });
      }
      const byLogin = (username: string): object => ({
        url: `mqtts://localhost:${byPassword}`,
        username,
        passwordFile: `${username}.password`,
        tls: { caFile: "ca.pem" },
        reconnect,
      });
      const probeServer = (port: number): object => ({ port });
      await writeFile(
        file("edge.yaml"),
        siteYaml({
          listen: { port: http },
          mqtt: byLogin("scissiond"),
          probeServer: probeServer(edge),
        }),
      );
      const agent = (name: string, tier: string, more: object): string =>
        stringify({
          site: SITE,
          node: { name, tier },
          stateDirectory: `state-${name}`,
          daemonUrl,
          probe: { intervalSeconds: 0.3, burstTargetMs: 20 },
          benchmark: { warmups: 1, repeats: 3 },
          ...more,
        });
      const toEdge = { to: "edge-1", host: "127.0.0.1", port: edge };
      const toCamera = { to: "cam-1", host: "127.0.0.1", port: camera };
      await writeFile(
        file("cam-1.yaml"),
        agent("cam-1", "device", {
          mqtt: byLogin("cam-1"),
          probeServer: probeServer(camera),
          links: [toEdge],
        }),
      );
      await writeFile(
        file("gpu-1.yaml"),
        agent("gpu-1", "cloud", {
          mqtt: {
            url: `mqtts://localhost:${byCertificate}`,
            tls: { caFile: "ca.pem", certFile: "gpu-1.pem", keyFile: "gpu-1.key" },
            reconnect,
          },
          probeServer: { enabled: false },
          links: [toEdge, toCamera],
        }),
      );
      for (const words of [
        ["run", "--config", file("edge.yaml")],
        ["agent", "--config", file("cam-1.yaml")],
        ["agent", "--config", file("gpu-1.yaml")],
      ]) {
        killedBy(cleanup, spawnScissiond(words));
      }
      const status = () => statusAt(daemonUrl);
      const isWhole = async (): Promise<boolean> => {
        const now = await status();
        const measured = new Set(now?.profiles.map(({ node }) => node));
        return measured.size === 3 && now?.pipelines[0]?.plan != null && now.links.length >= 6;
      };
      await until(isWhole, { timeoutMs: 60_000, what: "three profiles, six links and a plan" });
      const mirrored = await connect(login("dashboard"));
      const plan = new Promise<string>((resolve) => {
        mirrored.on("message", (_, payload) => resolve(payload.toString("utf8")));
      });
      await mirrored.subscribeAsync(`${ROOT}/partitions/+`, { qos: 1 });
      expect(JSON.parse(await plan)).toMatchObject({ pipeline: "vision-cam-1" });
      await mirrored.endAsync(true);
    }, 120_000);
  },
);

/** An authority, the broker's certificate for localhost, and one of the node gpu-1. */
function makeCertificates(run: (command: string, ...words: string[]) => void): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = ["-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem"];
  run("openssl", "req", "-x509", "-days", "2", ...key, ...ca);
  for (const [name, subject] of [
    ["broker", "/CN=localhost"],
    ["gpu-1", "/CN=gpu-1"],
  ] as const) {
    const asked = ["-subj", subject, "-keyout", `${name}.key`, "-out", `${name}.csr`];
    run("openssl", "req", ...key, ...asked);
    const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    run("openssl", "x509", "-req", "-in", `${name}.csr`, ...by, "-out", `${name}.pem`);
  }
}
