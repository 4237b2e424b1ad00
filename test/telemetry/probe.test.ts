import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import { startLinkEmulator } from "../../src/demo/index.js";
import type { LinkReport } from "../../src/protocol/index.js";
import {
  createBurstGate,
  probeLink,
  probeOptionsSchema,
  probeServerOptionsSchema,
  startLinkProber,
  startProbeServer,
} from "../../src/telemetry/index.js";
import { ByteStream } from "../../src/telemetry/byte-stream.js";
import {
  encodeDatagram,
  SESSION_DATAGRAMS_MAX,
  TOKEN_BYTES,
} from "../../src/telemetry/datagrams.js";
import { encodeRequest, REPLY_BYTES } from "../../src/telemetry/probe-protocol.js";
import { until } from "../support/poll.js";

const deps = { log: silentLogger, clock: systemClock, random: seededRandom(7) };
const host = "127.0.0.1";
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function server(options: Record<string, unknown> = {}): Promise<number> {
  const parsed = probeServerOptionsSchema.parse({ port: 0, ...options });
  const started = await startProbeServer(parsed, deps);
  closers.push(() => started.stop());
  return started.port;
}

async function stranger(port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  socket.on("error", () => undefined);
  closers.push(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

describe("probeLink", () => {
  // How exact it is depends on what else the machine does: test/bench/link.bench.js measures that.
  it("tells slow links from quick ones, and no round trip below the real one", async () => {
    const measure = async (shape: { rttMs: number; bandwidthMbps: number }) => {
      const target = { host, port: await server() };
      const link = await startLinkEmulator({ target, ...shape }, deps);
      closers.push(() => link.stop());
      return probeLink({ host, port: link.port }, probeOptionsSchema.parse({}), deps);
    };
    const slow = await measure({ rttMs: 100, bandwidthMbps: 0.5 });
    const quick = await measure({ rttMs: 2, bandwidthMbps: 100 });
    for (const way of ["up", "down"] as const) {
      expect(slow[way].rttMs).toBeGreaterThanOrEqual(99);
      expect(quick[way].rttMs).toBeGreaterThanOrEqual(1.9);
      expect(quick[way].bandwidthMbps).toBeGreaterThan(5 * (slow[way].bandwidthMbps ?? NaN));
      expect(slow[way].lossPercent).toBe(0);
      expect(slow[way].jitterMs).toBeGreaterThanOrEqual(0);
      expect(slow[way].jitterMs).toBeLessThan(100);
    }
  });

  it("measures loss by datagrams, and leaves it out where none pass", async () => {
    const measure = async (lossPercent: number, lossDatagrams: number) => {
      const target = { host, port: await server() };
      const shape = { rttMs: 2, bandwidthMbps: 100, lossPercent };
      const link = await startLinkEmulator({ target, ...shape }, deps);
      closers.push(() => link.stop());
      const options = probeOptionsSchema.parse({ lossDatagrams });
      return probeLink({ host, port: link.port }, options, deps);
    };
    const { up, down } = await measure(20, 400);
    for (const { lossPercent } of [up, down]) {
      expect(lossPercent).toBeGreaterThan(10);
      expect(lossPercent).toBeLessThan(30);
    }
    const blocked = await measure(100, 10);
    expect(blocked.up).not.toHaveProperty("lossPercent");
    expect(blocked.up.bandwidthMbps).toBeGreaterThan(0);
  });

  it("spends no more than it may, and measures the round trip all the same", async () => {
    const peer = { host, port: await server() };
    let leftBytes = 60_000;
    const spend = (bytes: number): boolean => {
      if (bytes > leftBytes) return false;
      leftBytes -= bytes;
      return true;
    };
    const { up } = await probeLink(peer, probeOptionsSchema.parse({}), { ...deps, spend });
    expect(leftBytes).toBeGreaterThanOrEqual(0);
    expect(up.rttMs).toBeGreaterThan(0);
    const poor = await probeLink(peer, probeOptionsSchema.parse({}), {
      ...deps,
      spend: () => false,
    });
    expect(Object.keys(poor.up).sort()).toEqual(["at", "jitterMs", "rttMs"]);
  });

  it("waits while another burst is under way at either end, then gives the rate up", async () => {
    const gate = createBurstGate();
    const started = await startProbeServer(probeServerOptionsSchema.parse({ port: 0 }), {
      ...deps,
      gate,
    });
    closers.push(() => started.stop());
    const peer = { host, port: started.port };
    const leave = gate.enter();
    const quick = probeOptionsSchema.parse({ busyRetries: 1 });
    const { up } = await probeLink(peer, quick, deps);
    expect(up.rttMs).toBeGreaterThan(0);
    expect(up.bandwidthMbps).toBeUndefined();
    const patient = probeLink(peer, probeOptionsSchema.parse({}), deps);
    leave?.();
    expect((await patient).up.bandwidthMbps).toBeGreaterThan(0);
    // Several at once: bursts take turns, and all come to an end.
    const all = await Promise.all(
      [1, 2, 3].map(() => probeLink(peer, probeOptionsSchema.parse({}), deps)),
    );
    expect(all.every(({ up }) => up.rttMs !== undefined)).toBe(true);
    await until(() => !gate.isBusy);
  });

  it("rejects where nobody listens", async () => {
    const probe = probeLink({ host, port: 1 }, probeOptionsSchema.parse({}), deps);
    await expect(probe).rejects.toThrow(/127\.0\.0\.1:1.*ECONNREFUSED/);
  });

  it("rejects a peer that says nothing, in time, and one that says nonsense", async () => {
    let nonsense = "";
    const peer = createServer((socket) => {
      closers.push(() => socket.destroy());
      socket.on("error", () => undefined);
      if (nonsense !== "") socket.write(nonsense);
    });
    closers.push(() => peer.close());
    await new Promise<void>((resolve) => peer.listen(0, host, resolve));
    const address = peer.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const options = probeOptionsSchema.parse({ timeoutMs: 200 });
    await expect(probeLink({ host, port }, options, deps)).rejects.toThrow(/no answer within 200/);
    nonsense = "HTTP/1.1 400 Bad Request\r\n\r\n";
    await expect(probeLink({ host, port }, options, deps)).rejects.toMatchObject({
      code: "STREAM_PROTOCOL",
    });
  });

  it("stops at once when it is told to", async () => {
    const stop = new AbortController();
    const probe = probeLink({ host, port: await server() }, probeOptionsSchema.parse({}), {
      ...deps,
      signal: stop.signal,
    });
    stop.abort();
    await expect(probe).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("probe server", () => {
  it("answers only datagrams with a token, each with no more than it got, and to nobody else", async () => {
    const port = await server();
    const socket = createSocket("udp4");
    closers.push(() => socket.close());
    const answers: Buffer[] = [];
    socket.on("message", (bytes) => answers.push(bytes));
    const tell = (bytes: Buffer): Promise<void> =>
      new Promise((resolve) => socket.send(bytes, port, host, () => resolve()));
    await tell(Buffer.from("hello"));
    await tell(encodeDatagram(Buffer.alloc(16), 1));
    const peer = await stranger(port);
    const stream = new ByteStream(peer);
    await stream.write(encodeRequest({ kind: "open-datagrams", burstBytes: 0 }));
    await stream.read(REPLY_BYTES);
    const token = await stream.read(TOKEN_BYTES);
    await tell(Buffer.concat([encodeDatagram(token, 1), Buffer.alloc(100)]));
    const elsewhere = createSocket("udp4");
    closers.push(() => elsewhere.close());
    elsewhere.on("message", (bytes) => answers.push(bytes));
    await new Promise<void>((resolve) => elsewhere.bind(0, "127.0.0.2", () => resolve()));
    await new Promise<void>((resolve) =>
      elsewhere.send(encodeDatagram(token, 3), port, host, () => resolve()),
    );
    await tell(encodeDatagram(token, 2));
    await until(() => answers.length > 0);
    expect(answers).toEqual([encodeDatagram(token, 2)]);
    for (let number = 0; number < SESSION_DATAGRAMS_MAX + 50; number += 1) {
      await tell(encodeDatagram(token, number));
    }
    peer.destroy();
    await until(async () => {
      await tell(encodeDatagram(token, 7));
      const before = answers.length;
      await new Promise((resolve) => setImmediate(resolve));
      return answers.length === before;
    });
    expect(answers.length).toBeLessThanOrEqual(SESSION_DATAGRAMS_MAX);
  });

  it("refuses bursts beyond its limits", async () => {
    const small = await server({ maxBurstBytes: 16_384 });
    const options = probeOptionsSchema.parse({});
    await expect(probeLink({ host, port: small }, options, deps)).rejects.toThrow(/refuses/);
    const poor = await server({ maxBytesPerMinute: 100_000 });
    await expect(probeLink({ host, port: poor }, options, deps)).rejects.toThrow(/refuses/);
  });

  it("hangs up on strangers, on slow ones, and on more than it serves at a time", async () => {
    const port = await server({ maxConnections: 1, connectionTimeoutMs: 300 });
    const idle = await stranger(port);
    const second = await stranger(port);
    await new Promise((resolve) => second.once("close", resolve));
    expect(idle.destroyed).toBe(false);
    await new Promise((resolve) => idle.once("close", resolve));
    const rude = await stranger(port);
    const closed = new Promise((resolve) => rude.once("close", resolve));
    rude.write("GET / HTTP/1.1\r\nHost: me\r\n\r\n");
    await closed;
  });

  it("does not buffer a burst for a client that does not read", async () => {
    const port = await server({ maxBurstBytes: 1_000_000_000 });
    const socket = await stranger(port);
    socket.pause();
    const before = process.memoryUsage().rss;
    socket.write(encodeRequest({ kind: "download", burstBytes: 900_000_000 }));
    // By then the server has filled what the kernel and the client's own buffer take.
    await until(() => socket.readableLength > 0);
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
  });
});

describe("link prober", () => {
  it("publishes both directions, and a loss of 100 % for a peer that is gone", async () => {
    const port = await server();
    const reports: { path: string; report: LinkReport }[] = [];
    const prober = startLinkProber(
      {
        self: "cam-1",
        peers: [
          { to: "edge-1", host, port },
          { to: "gone-1", host, port: 1 },
        ],
        probe: probeOptionsSchema.parse({
          intervalSeconds: 0.05,
          burstTargetMs: 10,
          deadAfterFailures: 2,
        }),
      },
      {
        ...deps,
        publishLink: (from, to, report) => reports.push({ path: `${from}/${to}`, report }),
      },
    );
    closers.push(() => prober.stop());
    const lost = await until(() => reports.find(({ path }) => path === "gone-1/cam-1"));
    expect(lost.report).toEqual({ lossPercent: 100, source: "probe-cam-1" });
    const edge = reports.filter(({ path }) => path.includes("edge-1")).map(({ path }) => path);
    expect(edge.slice(0, 4)).toEqual([
      "cam-1/edge-1",
      "edge-1/cam-1",
      "cam-1/edge-1",
      "edge-1/cam-1",
    ]);
  });
});
