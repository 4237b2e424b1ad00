import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/publisher/index.js";
import { type Content, plansOf, positiveAnswer } from "../../src/publisher/content.js";
import { nextContent } from "../../src/publisher/next.js";
import {
  answered,
  begin,
  createSession,
  flushed,
  type Session,
} from "../../src/publisher/session.js";
import { aPlan } from "../support/plans.js";

const epoch = "epoch-1";
const PIPELINES = ["a", "b", "c"];

type Step =
  | { do: "offer"; bumps: boolean[]; present: boolean[] }
  | { do: "flush" }
  | { do: "ack" }
  | { do: "reject" }
  | { do: "stale" };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("offer" as const),
    bumps: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    present: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
  }),
  ...(["flush", "ack", "reject", "stale"] as const).map((name) => fc.constant({ do: name })),
);

/** A session with the wire and the client simulated; it checks the invariants as it goes. */
class Simulation {
  session: Session;
  snapshot: Snapshot = { epoch, plans: [] };
  /** What the client has put in force. */
  readonly client = new Map<string, number>();
  readonly rejected = new Set<string>();
  readonly sentRevisions = new Map<string, number>();
  readonly #revisions = new Map<string, number>();
  inFlight: { nonce: string; content: Content; flushed: boolean; answered: boolean } | undefined;
  #nonces = 0;

  constructor(role: "runtime" | "observer") {
    this.session = createSession({ type: "subscribe", role });
    this.#pump();
  }

  apply(step: Step): void {
    switch (step.do) {
      case "offer":
        this.#offer(step);
        break;
      case "flush":
        if (this.inFlight?.flushed === false) {
          this.inFlight.flushed = true;
          this.session = flushed(this.session);
          if (this.session.role === "observer") this.#take();
        }
        break;
      case "ack":
      case "reject":
        this.#answer(step.do);
        break;
      case "stale": {
        const result = answered(this.session, { type: "ack", nonce: "no such nonce" });
        expect(result).toEqual({ session: this.session, stale: true });
        break;
      }
    }
    if (
      this.inFlight?.flushed === true &&
      (this.session.role === "observer" ||
        this.inFlight.answered ||
        positiveAnswer(this.inFlight.content) === undefined)
    ) {
      this.inFlight = undefined;
    }
    this.#pump();
  }

  wanted(): Map<string, number> {
    return new Map(this.snapshot.plans.map((plan) => [plan.pipeline, plan.revision]));
  }

  #offer({ bumps, present }: { bumps: boolean[]; present: boolean[] }): void {
    const before = this.wanted();
    const plans = PIPELINES.flatMap((pipeline, index) => {
      if (present[index] !== true) return [];
      // A pipeline that comes back gets a new revision, as from the store.
      const isNew = bumps[index] === true || !before.has(pipeline);
      const revision = (this.#revisions.get(pipeline) ?? 0) + (isNew ? 1 : 0);
      this.#revisions.set(pipeline, revision);
      return [aPlan({ pipeline, revision })];
    });
    this.snapshot = { epoch, plans };
  }

  #answer(type: "ack" | "reject"): void {
    const { inFlight } = this;
    if (inFlight === undefined || inFlight.answered) return;
    if (positiveAnswer(inFlight.content) === undefined) return;
    const result = answered(this.session, { type, nonce: inFlight.nonce });
    expect(result.stale).toBe(this.session.role === "observer");
    if (result.stale) return;
    this.session = result.session;
    inFlight.answered = true;
    if (type === "ack") this.#take();
    else for (const key of keysOf(inFlight.content)) this.rejected.add(key);
  }

  #take(): void {
    const content = this.inFlight!.content;
    if (content.kind === "removed") this.client.delete(content.pipeline);
    if (content.kind === "snapshot") {
      for (const name of this.client.keys()) {
        if (!content.revisions.has(name)) this.client.delete(name);
      }
    }
    for (const key of keysOf(content)) {
      const [pipeline, revision] = key.split("/") as [string, string];
      this.client.set(pipeline, Number(revision));
    }
  }

  #pump(): void {
    const content = nextContent(this.session, this.snapshot);
    if (content === undefined) return;
    expect(this.inFlight, "two frames in flight").toBeUndefined();
    for (const key of keysOf(content)) {
      const [pipeline, text] = key.split("/") as [string, string];
      expect(this.rejected.has(key), `${key} was rejected before`).toBe(false);
      expect(Number(text)).toBeGreaterThan(this.sentRevisions.get(pipeline) ?? 0);
      expect(this.wanted().get(pipeline)).toBe(Number(text));
      this.sentRevisions.set(pipeline, Number(text));
    }
    this.#nonces += 1;
    const nonce = `n-${this.#nonces}`;
    this.session = begin(this.session, content, { nonce, epoch });
    this.inFlight = { nonce, content, flushed: false, answered: false };
  }
}

function keysOf(content: Content): string[] {
  return plansOf(content).map((plan) => `${plan.pipeline}/${plan.revision}`);
}

describe("session", () => {
  it.each(["runtime", "observer"] as const)(
    "%s: one frame in flight, revisions only grow, overtaken and rejected ones are not sent, and it converges",
    (role) => {
      fc.assert(
        fc.property(fc.array(stepArbitrary, { maxLength: 60 }), (steps) => {
          const simulation = new Simulation(role);
          for (const step of steps) simulation.apply(step);
          // Quiescence: each frame may need a flush and an answer, for at most every pipeline twice.
          for (let round = 0; round < 6 * PIPELINES.length; round += 1) {
            simulation.apply({ do: "flush" });
            simulation.apply({ do: "ack" });
          }
          expect(simulation.inFlight).toBeUndefined();
          for (const [pipeline, revision] of simulation.wanted()) {
            if (simulation.rejected.has(`${pipeline}/${revision}`)) continue;
            expect(simulation.client.get(pipeline)).toBe(revision);
          }
          const known = [...simulation.session.held.keys()];
          expect(known.every((pipeline) => simulation.wanted().has(pipeline))).toBe(true);
        }),
        { numRuns: 500 },
      );
    },
  );

  it("accepts an answer that overtakes the flush, and only one", () => {
    const snapshot = { epoch, plans: [aPlan()] };
    const idle = createSession({ type: "subscribe", role: "runtime" });
    const sent = begin(idle, nextContent(idle, snapshot)!, { nonce: "n", epoch });
    const first = answered(sent, { type: "ack", nonce: "n" });
    expect(first.stale).toBe(false);
    expect(answered(first.session, { type: "reject", nonce: "n" }).stale).toBe(true);
    expect(nextContent(first.session, { epoch, plans: [] })).toBeUndefined();
    const settled = flushed(first.session);
    expect(settled.held).toEqual(new Map([["camera", 1]]));
    expect(nextContent(settled, { epoch, plans: [] })).toEqual({
      kind: "removed",
      pipeline: "camera",
    });
  });

  it("lets no busy pipeline starve another", () => {
    let session = createSession({ type: "subscribe", role: "observer" });
    const sent: string[] = [];
    for (let revision = 1; revision <= 6; revision += 1) {
      const plans = ["a", "b"].map((pipeline) => aPlan({ pipeline, revision }));
      const content = nextContent(session, { epoch, plans })!;
      if (content.kind === "update") sent.push(content.plan.pipeline);
      session = flushed(begin(session, content, { nonce: `n-${revision}`, epoch }));
    }
    expect(sent).toEqual(["a", "b", "a", "b", "a"]);
  });
});
