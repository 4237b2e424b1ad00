import type { Rollout } from "../../src/publisher/rollout.js";
import { RULES, type Rules } from "./rollout-daemon.js";

const { advance, answered, begin, cutOff, nextContent } = RULES;

function everybodyReady(rollout: Rollout): Rollout {
  if (rollout.phase !== "preparing") return rollout;
  return { ...rollout, phase: "committing" };
}

/** Rules with one mistake each, and what the promises say about it. */
export const MUTANTS: readonly { mistake: string; rules: Partial<Rules>; found: RegExp }[] = [
  {
    mistake: "what a runtime loaded and does not use is gone with its connection",
    rules: {
      cutOff: (client, isCrash) => {
        const left = cutOff(client, isCrash);
        return { ...left, loaded: left.loaded.filter((revision) => revision === left.inForce) };
      },
    },
    found: /ready for and dropped|unprepared|not ready/,
  },
  {
    mistake: "an older revision is never done with",
    rules: {
      nextContent: (session, view) => {
        const content = nextContent(session, view);
        return content?.kind === "retire" ? undefined : content;
      },
    },
    found: /keeps 1|stays preparing/,
  },
  {
    mistake: "an older revision is done with while others are behind",
    rules: {
      nextContent: (session, view) => nextContent(session, { ...view, isLagging: () => false }),
    },
    found: /ready for and dropped/,
  },
  {
    mistake: "an aborted revision is kept from the runtimes that loaded it",
    rules: {
      nextContent: (session, view) => {
        const content = nextContent(session, view);
        return content?.kind === "abort" ? undefined : content;
      },
    },
    found: /keeps 2|which was aborted|stays/,
  },
  {
    mistake: "the first to be ready commits for all",
    rules: {
      advance: (rollout, event) => {
        const after = advance(rollout, event);
        return event.kind === "ready" ? everybodyReady(after) : after;
      },
    },
    found: /not ready/,
  },
  {
    mistake: "who is cut off while others prepare is not missed",
    rules: {
      advance: (rollout, event) =>
        event.kind === "vanished" && rollout.phase === "preparing"
          ? advance(rollout, { kind: "ready", node: event.node })
          : advance(rollout, event),
    },
    found: /not ready/,
  },
  {
    mistake: "an answer counts for whatever is being prepared",
    rules: {
      answered: (session, answer) => {
        const [preparation] = session.preparing.values();
        return answer.type === "ready" && preparation !== undefined
          ? answered(session, { ...answer, nonce: preparation.nonce })
          : answered(session, answer);
      },
    },
    found: /not ready|unprepared/,
  },
  {
    mistake: "who is late with its preparation is taken to be ready",
    rules: {
      advance: (rollout, event) =>
        event.kind === "time" ? everybodyReady(rollout) : advance(rollout, event),
    },
    found: /not ready/,
  },
  {
    mistake: "a runtime is told to switch without having been ready",
    rules: {
      nextContent: (session, view) => {
        const content = nextContent(session, view);
        return content?.kind === "update" ? { ...content, kind: "activate" } : content;
      },
    },
    found: /unprepared/,
  },
  {
    mistake: "an acknowledgement is taken as said when the frame is sent",
    rules: {
      begin: (session, content, frame) => {
        const begun = begin(session, content, frame);
        const { inFlight } = begun;
        if (inFlight === undefined || content.kind === "prepare") return begun;
        return { ...begun, inFlight: { ...inFlight, answer: "taken" } };
      },
    },
    found: /ready for and dropped|unprepared|back to|not ready/,
  },
  {
    mistake: "what is to be prepared is put in force at once",
    rules: {
      nextContent: (session, view) => {
        const content = nextContent(session, view);
        return content?.kind === "prepare" ? { kind: "update", plan: content.plan } : content;
      },
    },
    found: /stays preparing|back to|not ready/,
  },
];
