import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/index.js";
import { type LinkEmulator, startLinkEmulator } from "../../src/demo/index.js";
import { until } from "../support/poll.js";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server that tells of every connection. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    closers.push(() => socket.destroy());
    onConnection(socket);
  });
  closers.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function link(
  port: number,
  shape: { rttMs: number; bandwidthMbps: number },
): Promise<LinkEmulator> {
  const target = { host: "127.0.0.1", port };
  const emulator = await startLinkEmulator({ target, ...shape }, { clock: systemClock });
  closers.push(() => emulator.stop());
  return emulator;
}

async function connect(port: number): Promise<Socket> {
  const socket = dial({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => undefined);
  closers.push(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

/** Milliseconds from now until `bytes` have arrived. */
async function arrival(socket: Socket, bytes: number): Promise<number> {
  const startMs = performance.now();
  let received = 0;
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received >= bytes) resolve();
    });
  });
  return performance.now() - startMs;
}

// A busy machine makes everything later, never earlier: only that is asserted here. How exact rate and
// delay are is measured by test/bench/link.bench.js.
describe("link emulator", () => {
  it.each([
    { rttMs: 2, bandwidthMbps: 0.5, bytes: 20_000 },
    { rttMs: 100, bandwidthMbps: 5, bytes: 300_000 },
    { rttMs: 20, bandwidthMbps: 50, bytes: 2_000_000 },
    { rttMs: 100, bandwidthMbps: 200, bytes: 8_000_000 },
  ])(
    "never carries more than $bandwidthMbps Mbps, nor sooner than half of $rttMs ms",
    async ({ bytes, ...shape }) => {
      const sockets: Socket[] = [];
      const port = await listen((socket) => sockets.push(socket));
      const client = await connect((await link(port, shape)).port);
      const far = await until(() => sockets[0]);
      const leastMs = shape.rttMs / 2 + (bytes * 8) / (shape.bandwidthMbps * 1_000);
      for (const [from, to] of [
        [client, far],
        [far, client],
      ] as const) {
        const arrived = arrival(to, bytes);
        from.write(Buffer.alloc(bytes));
        expect(await arrived).toBeGreaterThan(leastMs * 0.95);
      }
    },
  );

  it("takes new values while it runs", async () => {
    const port = await listen((socket) => socket.pipe(socket));
    const emulator = await link(port, { rttMs: 5, bandwidthMbps: 100 });
    const client = await connect(emulator.port);
    const roundTrip = async (): Promise<number> => {
      const startMs = performance.now();
      const answered = new Promise((resolve) => client.once("data", resolve));
      client.write("x");
      await answered;
      return performance.now() - startMs;
    };
    emulator.set({ rttMs: 80, bandwidthMbps: 100 });
    expect(await roundTrip()).toBeGreaterThan(79);
    emulator.set({ rttMs: 0, bandwidthMbps: 100 });
    // The best of many is far below the delay that was taken away.
    await until(async () => (await roundTrip()) < 40);
  });

  it("pauses a sender that is faster than the link, and passes on every byte in order", async () => {
    const bytes = 3_000_000;
    const sent = Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 31) % 251));
    const chunks: Buffer[] = [];
    let ended = false;
    const port = await listen((socket) => {
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      socket.on("end", () => {
        ended = true;
      });
    });
    const client = await connect((await link(port, { rttMs: 10, bandwidthMbps: 100 })).port);
    client.end(sent);
    await until(() => ended);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  it("drops connections, refuses new ones, and is restored", async () => {
    const port = await listen((socket) => socket.pipe(socket));
    const emulator = await link(port, { rttMs: 0, bandwidthMbps: 100 });
    const client = await connect(emulator.port);
    const closed = new Promise((resolve) => client.once("close", resolve));
    emulator.drop();
    await closed;
    const refused = await connect(emulator.port);
    await new Promise((resolve) => refused.once("close", resolve));
    emulator.restore();
    const again = await connect(emulator.port);
    const answer = new Promise<Buffer>((resolve) => again.once("data", resolve));
    again.write("back");
    expect((await answer).toString()).toBe("back");
  });

  it("closes the near side when the target is not there", async () => {
    const emulator = await link(1, { rttMs: 0, bandwidthMbps: 100 });
    const client = await connect(emulator.port);
    await new Promise((resolve) => client.once("close", resolve));
    expect(client.destroyed).toBe(true);
  });

  it("says so when its port is taken", async () => {
    const port = await listen(() => undefined);
    const target = { host: "127.0.0.1", port: 1 };
    const start = startLinkEmulator(
      { listenPort: port, target, rttMs: 0, bandwidthMbps: 1 },
      { clock: systemClock },
    );
    await expect(start).rejects.toMatchObject({ code: "LISTEN_FAILED" });
  });
});
