import type { PlanDocument, ServerMessage } from "../../src/protocol/index.js";

type Revisions = Record<string, number>;

/** What one client saw, over all its connections. */
export type Step =
  | { type: "connect"; have?: { epoch: string; revisions: Revisions } | undefined }
  | ServerMessage;

export type History = readonly Step[];

/** What a client holds after these steps. */
export interface Held {
  epoch: string | undefined;
  revisions: Map<string, number>;
}

export function heldAfter(history: History): Held {
  const held: Held = { epoch: undefined, revisions: new Map() };
  for (const step of history) apply(held, step);
  return held;
}

function apply(held: Held, step: Step): void {
  switch (step.type) {
    case "connect":
    case "heartbeat":
    case "prepare":
    case "abort":
    case "retire":
      return;
    case "activate":
      held.revisions.set(step.pipeline, step.revision);
      return;
    case "snapshot":
      held.epoch = step.epoch;
      held.revisions = new Map(Object.entries(step.revisions));
      return;
    case "update":
      held.revisions.set(step.plan.pipeline, step.plan.revision);
      return;
    case "removed":
      held.revisions.delete(step.pipeline);
  }
}

function plansOf(step: Step): readonly PlanDocument[] {
  if (step.type === "snapshot") return step.plans;
  return step.type === "update" || step.type === "prepare" ? [step.plan] : [];
}

/** What the step puts in force. */
function putInForceBy(step: Step): readonly (readonly [pipeline: string, revision: number])[] {
  switch (step.type) {
    case "snapshot":
      return Object.entries(step.revisions);
    case "update":
      return [[step.plan.pipeline, step.plan.revision]];
    case "activate":
      return [[step.pipeline, step.revision]];
    case "connect":
    case "heartbeat":
    case "removed":
    case "prepare":
    case "abort":
    case "retire":
      return [];
  }
}

type Validator = (histories: readonly History[], final: Held) => string[];

/** Complaints of each client by itself, with what it held before each step. */
function perStep(
  histories: readonly History[],
  complain: (step: Step, held: Held, earlier: History) => string[],
): string[] {
  return histories.flatMap((history, client) => {
    const held: Held = { epoch: undefined, revisions: new Map() };
    return history.flatMap((step, index) => {
      const complaints = complain(step, held, history.slice(0, index));
      apply(held, step);
      return complaints.map((text) => `client ${client}, step ${index}: ${text}`);
    });
  });
}

/** Within an epoch the revisions of a pipeline never go back, whatever was disconnected meanwhile. */
const ordered: Validator = (histories) =>
  perStep(histories, (step, held) =>
    putInForceBy(step).flatMap(([pipeline, revision]) => {
      const isSameEpoch = held.epoch === (step as { epoch?: string }).epoch;
      const before = isSameEpoch ? (held.revisions.get(pipeline) ?? 0) : 0;
      return revision < before ? [`${pipeline} went from ${before} back to ${revision}`] : [];
    }),
  );

/**
 * No plan comes twice to a client that holds it, or said so when it connected, and a revision is the same
 * document everywhere.
 */
const unique: Validator = (histories) => {
  const texts = new Map<string, string>();
  return perStep(histories, (step, held, earlier) =>
    plansOf(step).flatMap((plan) => {
      const last = earlier.at(-1);
      const isFirst = last?.type === "connect" && last.have === undefined;
      const key = `${plan.epoch} ${plan.pipeline} ${plan.revision}`;
      const text = JSON.stringify(plan);
      const isOther = (texts.get(key) ?? text) !== text;
      texts.set(key, text);
      const isHeld =
        !isFirst &&
        held.epoch === plan.epoch &&
        held.revisions.get(plan.pipeline) === plan.revision;
      return [
        ...(isOther ? [`${key} has two contents`] : []),
        ...(isHeld ? [`${key} came twice`] : []),
      ];
    }),
  );
};

/**
 * A snapshot and what the client offered are together the whole state, all of one epoch. A participant
 * is told to activate what it has prepared, and to retire what it has in force.
 */
const atomic: Validator = (histories) =>
  perStep(histories, (step, held, earlier) => {
    if (step.type === "activate" && preparedAfter(earlier, step.pipeline) !== step.revision) {
      return [`activate ${step.revision} of ${step.pipeline}, which was not prepared`];
    }
    if (step.type === "retire" && held.revisions.get(step.pipeline) !== step.revision) {
      return [`retire for ${step.revision} of ${step.pipeline}, which is not in force here`];
    }
    const foreign = plansOf(step).filter(
      (plan) => plan.epoch !== (step as { epoch: string }).epoch,
    );
    const complaints = foreign.map(
      ({ pipeline }) => `${pipeline} is of another epoch than its frame`,
    );
    if (step.type !== "snapshot") return complaints;
    const connect = earlier.findLast(({ type }) => type === "connect") as
      | (Step & { type: "connect" })
      | undefined;
    const known = connect?.have?.epoch === step.epoch ? connect.have.revisions : {};
    const sent = Object.fromEntries(step.plans.map((plan) => [plan.pipeline, plan.revision]));
    const torn = Object.entries(step.revisions).filter(
      ([pipeline, revision]) => (sent[pipeline] ?? known[pipeline]) !== revision,
    );
    const extra = Object.keys(sent).filter((pipeline) => !(pipeline in step.revisions));
    return [
      ...complaints,
      ...torn.map(([pipeline, revision]) => `revision ${revision} of ${pipeline} without its plan`),
      ...extra.map((pipeline) => `a plan of ${pipeline}, which the snapshot does not name`),
    ];
  });

/** The revision that is prepared after these steps, and neither in force nor aborted. */
function preparedAfter(history: History, pipeline: string): number | undefined {
  let prepared: number | undefined;
  for (const step of history) {
    if (step.type === "prepare" && step.plan.pipeline === pipeline) prepared = step.plan.revision;
    if (step.type === "abort" && step.revision === prepared) prepared = undefined;
  }
  return prepared;
}

/** When all is quiet every client holds what is in force: overtaken revisions alone were left out. */
const reliable: Validator = (histories, final) =>
  histories.flatMap((history, client) => {
    const held = heldAfter(history);
    const text = (of: Held): string => `${of.epoch} ${JSON.stringify([...of.revisions].sort())}`;
    return text(held) === text(final)
      ? []
      : [`client ${client} ended with ${text(held)}, and ${text(final)} is in force`];
  });

/** A connection begins with a snapshot that takes up what the client said it has. */
const resumable: Validator = (histories) =>
  perStep(histories, (step, _, earlier) => {
    const last = earlier.at(-1);
    if (last?.type !== "connect" || step.type === "connect") return [];
    if (step.type !== "snapshot") return [`${step.type} came before a snapshot`];
    if (last.have?.epoch !== step.epoch) return [];
    const { revisions } = last.have;
    return step.plans
      .filter((plan) => revisions[plan.pipeline] === plan.revision)
      .map((plan) => `${plan.pipeline} ${plan.revision} was offered and sent all the same`);
  });

/** After a heartbeat or snapshot nothing older than its revisions comes in that epoch. */
const bookmarkable: Validator = (histories) =>
  histories.flatMap((history, client) => {
    const marks = new Map<string, number>();
    return history.flatMap((step, index) => {
      const old = plansOf(step).filter(
        (plan) => plan.revision < (marks.get(`${plan.epoch} ${plan.pipeline}`) ?? 0),
      );
      if (step.type === "heartbeat" || step.type === "snapshot") {
        for (const [pipeline, revision] of Object.entries(step.revisions)) {
          marks.set(`${step.epoch} ${pipeline}`, revision);
        }
      }
      return old.map(
        ({ pipeline, revision }) =>
          `client ${client}, step ${index}: ${pipeline} ${revision} is older than a bookmark`,
      );
    });
  });

/** etcd's six words, as they read for a stream in which the newest revision wins. */
export const SIX_WORDS = { ordered, unique, atomic, reliable, resumable, bookmarkable };

/** Complaints by word; empty where all six hold. `final` is what is in force at the end. */
export function complaintsOf(histories: readonly History[], final: Held): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(SIX_WORDS)
      .map(([word, validate]) => [word, validate(histories, final)] as const)
      .filter(([, complaints]) => complaints.length > 0),
  );
}
