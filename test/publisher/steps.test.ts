import { describe, expect, it } from "vitest";
import type { SubscribeMessage } from "../../src/protocol/index.js";
import type { View } from "../../src/publisher/content.js";
import { FrameCache } from "../../src/publisher/frames.js";
import { nextContent } from "../../src/publisher/next.js";
import { begin, createSession, flushed, type Session } from "../../src/publisher/session.js";
import { Steps } from "../../src/publisher/steps.js";
import { aPlan } from "../support/plans.js";

const observer: SubscribeMessage = { type: "subscribe", role: "observer" };
const viewOf = (revision: number): View => ({
  epoch: "e",
  plans: [aPlan({ epoch: "e", pipeline: "a", revision }), aPlan({ epoch: "e", pipeline: "b" })],
});

/** Takes the session through everything that this view has for it. */
function brought(steps: Steps, session: Session, view: View): Session {
  let now = session;
  for (;;) {
    const sending = steps.next(now, view);
    if (sending === undefined) return now;
    now = steps.flushed(sending.session);
  }
}

describe("steps", () => {
  it("lead observers who were told the same to the same state, not to equal ones", () => {
    const steps = new Steps(new FrameCache("n"));
    const some = [1, 2, 3].map(() => steps.subscribed(observer));
    for (const revision of [1, 2, 7]) {
      const view = viewOf(revision);
      const [first, ...others] = some.map((session) => brought(steps, session, view));
      expect(first?.held.get("a")).toBe(revision);
      for (const other of others) expect(other).toBe(first);
      some.splice(0, 3, first!, first!, first!);
    }
  });

  it("are those of a session by itself", () => {
    const frames = new FrameCache("n");
    const steps = new Steps(frames);
    const messages: SubscribeMessage[] = [
      observer,
      { ...observer, pipelines: ["b"] },
      { ...observer, have: { epoch: "e", revisions: { a: 1, gone: 4 } } },
      { type: "subscribe", role: "runtime", node: "cam-1" },
    ];
    for (const message of messages) {
      let alone = createSession(message);
      let shared = steps.subscribed(message);
      for (const revision of [1, 1, 2, 3]) {
        const view = viewOf(revision);
        for (;;) {
          const content = nextContent(alone, view);
          const sending = steps.next(shared, view);
          expect(sending?.kind).toBe(content?.kind);
          if (content === undefined || sending === undefined) break;
          const frame = frames.frame(view, content);
          expect(sending.frame).toBe(frame);
          alone = flushed(begin(alone, content, { nonce: frame.nonce, epoch: "e" }));
          shared = steps.flushed(sending.session);
          expect(shared).toEqual(alone);
        }
      }
    }
  });

  it("of one who reads slowly go on from what it was told", () => {
    const steps = new Steps(new FrameCache("n"));
    const start = brought(steps, steps.subscribed(observer), viewOf(1));
    const slow = steps.next(start, viewOf(2));
    // Two offers later it takes that frame, and is brought to the newest at once.
    brought(steps, start, viewOf(3));
    const newest = viewOf(4);
    expect(steps.next(slow!.session, newest)).toBeUndefined();
    const after = brought(steps, steps.flushed(slow!.session), newest);
    expect(after.held.get("a")).toBe(4);
    expect(after).toEqual(brought(steps, start, newest));
  });
});
