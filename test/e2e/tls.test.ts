import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { subscribe, type SubscribeOptions } from "../../src/client/index.js";
import { subscribe as subscribeInBrowser } from "../../src/client/browser.js";
import { type Certificates, makeCertificates } from "../support/certificates.js";
import { tokenClient } from "../support/clients.js";
import { freePort, killedBy, spawnScissiond } from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { startSite, writeSite } from "../support/site.js";

const PIPELINE = "vision-cam-1";
const TOKEN = "eyes-only";

describe("a daemon with a private authority and mutual TLS", () => {
  let ours: Certificates;
  let foreign: Certificates;
  beforeAll(() => {
    ours = makeCertificates({ daemon: "localhost", runtime: "cloud-runtime", boss: "the-boss" });
    foreign = makeCertificates({ runtime: "cloud-runtime" });
  });
  afterAll(() => {
    ours.remove();
    foreign.remove();
  });

  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  /** The built daemon as a process, with a plan on the cloud in force. */
  async function start(): Promise<string> {
    const [http, broker] = [await freePort(), await freePort()];
    const files = await writeSite({
      listen: {
        host: "0.0.0.0",
        port: http,
        tls: {
          certFile: ours.path("daemon.pem"),
          keyFile: ours.path("daemon.key"),
          clientCaFile: ours.path("ca.pem"),
        },
        clients: [
          { name: "gpu-1", role: "runtime", nodes: ["gpu-1"], certificateName: "cloud-runtime" },
          { name: "boss", role: "admin", certificateName: "the-boss" },
          tokenClient("screen", "observer", { token: TOKEN }),
        ],
      },
      mqtt: { broker: { port: broker } },
      confirm: { enabled: false },
    });
    cleanup.push(() => files.remove());
    killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
    const site = await startSite(`mqtt://127.0.0.1:${broker}`);
    cleanup.push(() => site.stop());
    site.setLinks({ uplink: 100, direct: 100, backbone: 100 });
    return `https://localhost:${http}`;
  }

  /** Follows and writes down: plans by their revision, and why it could not connect. */
  function follow(url: string, options: SubscribeOptions): { told: string[]; failures: string[] } {
    const told: string[] = [];
    const failures: string[] = [];
    const stop = new AbortController();
    const done = (async () => {
      const updates = subscribe(url, {
        signal: stop.signal,
        connection: { reconnectMinSeconds: 0.05, reconnectMaxSeconds: 0.2 },
        onConnection: (state) => {
          if (state.kind === "disconnected") failures.push(state.reason);
        },
        ...options,
      });
      for await (const { plans } of updates) {
        for (const { partitions } of plans.values()) {
          told.push(partitions.map(({ node }) => node).join(" "));
        }
      }
    })();
    cleanup.push(async () => {
      stop.abort();
      await done;
    });
    return { told, failures };
  }

  const certificateOf = (from: Certificates, name: string): { cert: string; key: string } => ({
    cert: from.text(`${name}.pem`),
    key: from.text(`${name}.key`),
  });

  it("serves SDK and command line by certificate or token, and nobody else", async () => {
    const url = await start();
    const ca = ours.text("ca.pem");
    const observer = follow(url, { token: TOKEN, tls: { ca } });
    await until(() => observer.told.at(-1) === "gpu-1", { timeoutMs: 60_000, what: "a plan" });

    // A runtime by its certificate alone: it takes part in the switch that an operator orders.
    const steps: string[] = [];
    const runtime = follow(url, {
      role: "runtime",
      node: "gpu-1",
      tls: { ca, ...certificateOf(ours, "runtime") },
      prepare: () => void steps.push("prepare"),
      activate: () => void steps.push("activate"),
    });
    await until(() => runtime.told.at(-1) === "gpu-1", { what: "the runtime's plan" });
    const login = ["--url", url, "--ca", ours.path("ca.pem")];
    const boss = ["--cert", ours.path("boss.pem"), "--key", ours.path("boss.key")];
    const pin = ["pin", PIPELINE, "--stage", "edge-1:0-2", "--stage", "gpu-1:3-5"];
    const scissiond = async (...words: string[]): Promise<[number | string, string]> => {
      const child = spawnScissiond(words, { SCISSIOND_TOKEN: "" });
      return [await child.ended, child.output()];
    };
    expect(await scissiond("control", ...pin, ...login, ...boss)).toEqual([0, expect.any(String)]);
    await until(() => observer.told.at(-1) === "edge-1 gpu-1", { timeoutMs: 20_000 });
    await until(() => steps.at(-1) === "activate" && steps.includes("prepare"));

    const [exit, status] = await scissiond("status", "--json", ...login, ...boss);
    expect([exit, (JSON.parse(status) as { node: string }).node]).toEqual([0, "edge-1"]);
    const watching = killedBy(cleanup, spawnScissiond(["watch", ...login, ...boss]));
    await until(() => watching.output().includes("3–5 on gpu-1"), { timeoutMs: 20_000 });

    // The authority of another site, none at all, nobody's certificate, and one for another role.
    const distrusting = follow(url, { token: TOKEN, tls: { ca: foreign.text("ca.pem") } });
    const innocent = follow(url, { token: TOKEN });
    const stranger = follow(url, { tls: { ca, ...certificateOf(foreign, "runtime") } });
    const elsewhere = follow(url, {
      role: "runtime",
      node: "edge-1",
      tls: { ca, ...certificateOf(ours, "runtime") },
    });
    const reasons = await until(() => {
      const all = [distrusting, innocent, stranger, elsewhere].map(({ failures }) => failures[0]);
      return all.includes(undefined) ? undefined : all;
    });
    expect(reasons).toEqual([
      expect.stringMatching(/certificate/),
      expect.stringMatching(/certificate/),
      expect.stringMatching(/401/),
      expect.stringMatching(/4006/),
    ]);
    expect(await scissiond("status", ...login)).toEqual([
      1,
      expect.stringMatching(/the daemon refused \(HTTP status 401\): .*token/),
    ]);
    const untrusted = await scissiond("status", "--url", url, ...boss);
    expect(untrusted).toEqual([1, expect.stringMatching(/certificate/)]);
    const half = await scissiond("watch", ...login, "--cert", ours.path("boss.pem"));
    expect(half).toEqual([2, expect.stringContaining("--cert needs the key")]);
  }, 120_000);

  it("asks for a certificate together with its key, and for neither in a browser", () => {
    expect(() => subscribe("https://localhost", { tls: { cert: "x" } })).toThrow(/tls\.cert needs/);
    expect(() => subscribe("https://localhost", { tls: { key: "x" } })).toThrow(/tls\.key needs/);
    const options = { tls: { ca: "x" } } as object;
    expect(() => subscribeInBrowser("https://localhost", options)).toThrow(/its own store/);
  });

  it("refuses at once what it cannot read, or what does not belong together", () => {
    const own = certificateOf(ours, "runtime");
    const attempt = (tls: NonNullable<SubscribeOptions["tls"]>) => () =>
      subscribe("https://localhost", { tls });
    expect(attempt({ ca: ours.path("ca.pem") })).toThrow(/tls\.ca is no PEM/);
    expect(attempt({ ...own, key: foreign.text("runtime.key") })).toThrow(
      /tls\.key is not the key/,
    );
    expect(attempt({ ca: ours.text("ca.pem"), ...own })).not.toThrow();
  });
});
