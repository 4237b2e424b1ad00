import { describe, expect, it } from "vitest";
import { OneAtATime } from "../../src/agent/one-at-a-time.js";

/** Work that takes until it is told, and ends when it is aborted. */
function work() {
  const seen: { signal?: AbortSignal; finish: (value: string) => void } = {
    finish: () => undefined,
  };
  const run = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      seen.signal = signal;
      seen.finish = resolve;
      signal.addEventListener("abort", () => reject(new Error("ended")));
    });
  return { seen, run };
}

describe("one measurement at a time", () => {
  it("goes on while one of those who asked for it waits", async () => {
    const turns = new OneAtATime();
    const [first, second] = [new AbortController(), new AbortController()];
    const { seen, run } = work();
    const answers = [
      turns.run({ key: "a", signal: first.signal }, run),
      turns.run({ key: "a", signal: second.signal }, () => Promise.reject(new Error("twice"))),
    ];
    first.abort();
    expect(seen.signal?.aborted).toBe(false);
    seen.finish("done");
    expect(await Promise.all(answers)).toEqual(["done", "done"]);
  });

  it("ends when nobody waits any more, and lets the next one begin", async () => {
    const turns = new OneAtATime();
    const [first, second] = [new AbortController(), new AbortController()];
    const { seen, run } = work();
    const answers = [first, second].map(({ signal }) => turns.run({ key: "a", signal }, run));
    const never = new AbortController().signal;
    await expect(turns.run({ key: "b", signal: never }, run)).rejects.toMatchObject({
      code: "COMMAND_FAILED",
    });
    first.abort();
    second.abort();
    expect(seen.signal?.aborted).toBe(true);
    const next = turns.run({ key: "a", signal: never }, () => Promise.resolve("next"));
    for (const answer of answers) await expect(answer).rejects.toThrow("ended");
    expect(await next).toBe("next");
  });
});
