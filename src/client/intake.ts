import type { ClientMessage, ServerMessage } from "../protocol/index.js";
import type { Preparations } from "./preparations.js";
import type { Replica } from "./replica.js";

/** What a subscriber knows: the plans in force, and those to come. */
export interface Intake {
  readonly replica: Replica;
  readonly preparations: Preparations;
}

/** Takes a message of the daemon in. Returns what is wrong with it; undefined where nothing is. */
export function takeIn(
  message: ServerMessage,
  { replica, preparations }: Intake,
  send: (message: ClientMessage) => void,
): string | undefined {
  if (message.type !== "snapshot" && message.epoch !== replica.epoch) {
    return `a message of another epoch than the snapshot's: ${message.type}`;
  }
  switch (message.type) {
    case "snapshot": {
      const problem = replica.receive(message);
      if (problem === undefined) preparations.reconcile(message.epoch, message.revisions);
      return problem;
    }
    case "update":
    case "removed":
      return replica.receive(message);
    case "prepare":
      if (message.plan.epoch !== message.epoch) return "a plan of another epoch than its message";
      preparations.begin(message.plan, message.nonce, send);
      return undefined;
    case "activate": {
      const plan = preparations.take(message.pipeline, message.revision);
      if (plan === undefined) return `revision ${message.revision} was not prepared`;
      return replica.putInForce(plan, { nonce: message.nonce, answer: "active" });
    }
    case "abort":
      preparations.abort(message.pipeline, message.revision);
      return undefined;
    case "retire": {
      const plan = replica.held(message.pipeline);
      if (plan?.revision === message.revision) preparations.retire(plan);
      return undefined;
    }
    case "heartbeat":
      return undefined;
  }
}
