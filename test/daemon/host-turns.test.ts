import { describe, expect, it } from "vitest";
import { HostTurns } from "../../src/daemon/host-turns.js";

/** Work that ends when told to. */
function task(): { work: () => Promise<void>; started: () => boolean; end: () => void } {
  let isStarted = false;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const work = (): Promise<void> => {
    isStarted = true;
    return ended;
  };
  return { work, started: () => isStarted, end: () => end() };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("turns at a host", () => {
  const never = new AbortController().signal;

  it("lets hosts work side by side, and each host do one thing at a time", async () => {
    const turns = new HostTurns();
    const [first, second, elsewhere] = [task(), task(), task()];
    const done = [
      turns.run("a", first.work, never),
      turns.run("a", second.work, never),
      turns.run("b", elsewhere.work, never),
    ];
    await settle();
    expect([first, second, elsewhere].map((each) => each.started())).toEqual([true, false, true]);
    first.end();
    await settle();
    expect(second.started()).toBe(true);
    expect(turns.isFree("a")).toBe(false);
    second.end();
    elsewhere.end();
    await Promise.all(done);
    await settle();
    expect(turns.isFree("a")).toBe(true);
  });

  it("goes on after work that failed, and after a wait that was given up", async () => {
    const turns = new HostTurns();
    const failing = turns.run("a", () => Promise.reject(new Error("broken")), never);
    await expect(failing).rejects.toThrow("broken");
    const long = task();
    const running = turns.run("a", long.work, never);
    const impatient = new AbortController();
    const waiting = turns.run("a", task().work, impatient.signal);
    const last = task();
    const after = turns.run("a", last.work, never);
    impatient.abort();
    await expect(waiting).rejects.toMatchObject({ code: "ABORTED" });
    await settle();
    expect(last.started()).toBe(false);
    long.end();
    last.end();
    await Promise.all([running, after]);
    expect(last.started()).toBe(true);
  });
});
