import { describe, expect, it } from "vitest";
import { seededRandom, silentLogger } from "../../src/core/index.js";
import { type CommandHandler, CommandServer } from "../../src/telemetry/command-server.js";
import { CommandCaller } from "../../src/telemetry/commands.js";
import { Rejections } from "../../src/telemetry/rejections.js";
import { ManualClock } from "../support/manual-clock.js";

const LEASE_MS = 30_000;
const CALL = { timeoutMs: 3_600_000, leaseMs: LEASE_MS };
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A caller and a server on one clock, and the wire between them, which can be cut. */
function site() {
  const clock = new ManualClock();
  const begun: { signal: AbortSignal; finish: (data: unknown) => void }[] = [];
  const work: CommandHandler = (_, signal) =>
    new Promise((resolve, reject) => {
      begun.push({ signal, finish: resolve });
      signal.addEventListener("abort", () => reject(new Error("ended")));
    });
  const wire = { isCut: false };
  const rejections = new Rejections(silentLogger);
  const message = (payload: string) => ({
    topic: "t",
    payload: Buffer.from(payload),
    retained: false,
  });
  const server: CommandServer = new CommandServer(
    new Map([["work", work]]),
    { clock, rejections },
    (topic, payload) => {
      caller.receive(topic, message(payload), 10_000);
      return Promise.resolve(true);
    },
  );
  const caller: CommandCaller = new CommandCaller(
    { clock, random: seededRandom(1), rejections },
    (topic, payload) => {
      if (!wire.isCut) server.receive(topic, message(payload), 10_000);
    },
  );
  const call = (signal?: AbortSignal): Promise<unknown> =>
    caller.call(
      { kind: "command", node: "cam-1", name: "work" },
      {},
      { ...CALL, ...(signal && { signal }) },
    );
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await settle();
    }
  };
  return { caller, begun, wire, call, pass, rejections };
}

describe("work with a lease", () => {
  it("goes on while somebody waits, however long", async () => {
    const { begun, call, pass } = site();
    const answer = call();
    await pass(20 * LEASE_MS);
    expect(begun).toHaveLength(1);
    expect(begun[0]?.signal.aborted).toBe(false);
    begun[0]?.finish("done");
    expect(await answer).toBe("done");
  });

  it("ends at once when whoever asked gives it up, or stops", async () => {
    const { begun, call, caller, rejections } = site();
    const stop = new AbortController();
    const given = call(stop.signal);
    expect(begun[0]?.signal.aborted).toBe(false);
    stop.abort();
    await expect(given).rejects.toMatchObject({ code: "ABORTED" });
    expect(begun[0]?.signal.aborted).toBe(true);
    const other = call();
    caller.stop();
    await expect(other).rejects.toMatchObject({ code: "ABORTED" });
    expect(begun[1]?.signal.aborted).toBe(true);
    await settle();
    // No answer comes that nobody awaits.
    expect(Object.values(rejections.counts()).every((count) => count === 0)).toBe(true);
  });

  it("ends when whoever asked has died, and is done anew for one who was only cut off", async () => {
    const { begun, wire, call, caller, pass } = site();
    const answer = call();
    wire.isCut = true;
    await pass(LEASE_MS - 2_000);
    expect(begun[0]?.signal.aborted).toBe(false);
    await pass(4_000);
    expect(begun[0]?.signal.aborted).toBe(true);
    wire.isCut = false;
    caller.resend();
    expect(begun).toHaveLength(2);
    begun[1]?.finish("done");
    expect(await answer).toBe("done");
  });
});
