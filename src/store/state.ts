import {
  type ConfirmedRange,
  confirmedRangeSchema,
  type Decision,
  decisionSchema,
  nameSchema,
  pinSchema,
  type Profile,
  planDocumentSchema,
  profileSchema,
} from "../protocol/index.js";
import { z } from "zod";
import type { StoreOptions } from "./options.js";

export const PIPELINES_MAX = 100_000;
const LINKS_MAX = 10_000;
const CONFIRMED_MAX = 10_000;
const unixMs = z.number().int().nonnegative();

/** What survives a restart. Names are data here, so lists rather than objects with names as keys. */
export const storeStateSchema = z.strictObject({
  /** New only when the store starts empty; (pipeline, epoch, revision) is unique for ever. */
  epoch: z.string().min(1).max(64),
  pipelines: z
    .array(
      z.strictObject({
        name: nameSchema,
        /** The highest revision ever given to this pipeline; kept when the pipeline is gone. */
        revision: z.number().int().nonnegative(),
        plan: planDocumentSchema.nullable(),
        /** The configuration that ran before the present one, to go back to. */
        previous: pinSchema.optional(),
      }),
    )
    .max(PIPELINES_MAX),
  /** What operators want; a pipeline that is not named here is planned freely. */
  controls: z
    .array(
      z.strictObject({ pipeline: nameSchema, isPaused: z.boolean(), pin: pinSchema.nullable() }),
    )
    .max(PIPELINES_MAX)
    .optional(),
  profiles: z.array(profileSchema),
  /** What partitions took when they were measured on their nodes; oldest first. */
  confirmed: z.array(confirmedRangeSchema).max(CONFIRMED_MAX).optional(),
  /** Oldest first. */
  decisions: z.array(decisionSchema),
  /** Only in states of older versions; nothing reads it. */
  lastBenchmarks: z.array(z.looseObject({})).optional(),
  /** Where the benchmark schedule stands, so that no run is lost over a restart. */
  schedule: z
    .strictObject({
      /** When the next run is due. */
      nextRunAt: unixMs.nullable(),
      /** A run is under way: profiles measured before this are to be renewed. */
      refreshBeforeAt: unixMs.nullable(),
    })
    .optional(),
  /** The last known context of each link, to plan with until it is measured again. */
  links: z
    .array(
      z.strictObject({
        from: nameSchema,
        to: nameSchema,
        rttMs: z.number().nonnegative().nullable(),
        secondsPerMegabit: z.number().nonnegative().nullable(),
      }),
    )
    .max(LINKS_MAX),
});
export type StoreState = z.infer<typeof storeStateSchema>;

/** The state of a store that has never held anything. */
export function emptyState(epoch: string): StoreState {
  return { epoch, pipelines: [], profiles: [], decisions: [], links: [] };
}

/** With this profile as the newest, in place of the one of the same model and node. */
export function withProfile(state: StoreState, profile: Profile): StoreState {
  const others = state.profiles.filter(
    (kept) => kept.model.sha256 !== profile.model.sha256 || kept.node.name !== profile.node.name,
  );
  return { ...state, profiles: [...others, profile] };
}

/** With these as all that is known of measured partitions. */
export function withConfirmedRanges(
  state: StoreState,
  confirmed: readonly ConfirmedRange[],
): StoreState {
  return { ...state, confirmed: confirmed.slice(-CONFIRMED_MAX) };
}

/** With this decision as the newest. */
export function withDecision(state: StoreState, decision: Decision): StoreState {
  return { ...state, decisions: [...state.decisions, decision] };
}

/** With the revision and plan of one pipeline replaced; a plan of null withdraws it. */
export function withPipeline(
  state: StoreState,
  pipeline: StoreState["pipelines"][number],
): StoreState {
  const known = state.pipelines.some(({ name }) => name === pipeline.name);
  const pipelines = known
    ? state.pipelines.map((kept) => (kept.name === pipeline.name ? pipeline : kept))
    : [...state.pipelines, pipeline];
  return { ...state, pipelines };
}

/** With what an operator wants of one pipeline. */
export function withControl(
  state: StoreState,
  control: NonNullable<StoreState["controls"]>[number],
): StoreState {
  const others = (state.controls ?? []).filter(({ pipeline }) => pipeline !== control.pipeline);
  const isFree = !control.isPaused && control.pin === null;
  return { ...state, controls: isFree ? others : [...others, control] };
}

/** With where the schedule stands; what is not given stays as it was. */
export function withSchedule(
  state: StoreState,
  schedule: Partial<NonNullable<StoreState["schedule"]>>,
): StoreState {
  const before = state.schedule ?? { nextRunAt: null, refreshBeforeAt: null };
  return { ...state, schedule: { ...before, ...schedule } };
}

/** With these as the last known links. */
export function withLinks(state: StoreState, links: StoreState["links"]): StoreState {
  return { ...state, links };
}

/** The newest records that the limits allow. Lists are in order of arrival: the wall clock may jump. */
export function withinLimits(state: StoreState, limits: StoreOptions): StoreState {
  return {
    ...state,
    decisions: newestOf(state.decisions, limits.decisionsMax),
    profiles: newestOf(state.profiles, limits.profilesMax),
    links: newestOf(state.links, LINKS_MAX),
  };
}

/** The very list where it is short enough, so that it is seen to be unchanged. */
function newestOf<T>(list: T[], max: number): T[] {
  return list.length <= max ? list : list.slice(-max);
}

/**
 * What a change must never do, in words; undefined where it is sound. A forgotten pipeline would
 * start again at revision 1, and a revision would be used twice.
 */
export function unsoundChange(before: StoreState, after: StoreState): string | undefined {
  if (after.epoch !== before.epoch) return "the epoch changed";
  const revisions = new Map(after.pipelines.map(({ name, revision }) => [name, revision]));
  if (revisions.size !== after.pipelines.length) return "a pipeline is listed twice";
  for (const { name, revision } of before.pipelines) {
    const next = revisions.get(name);
    if (next === undefined) return `pipeline ${name} lost its revision`;
    if (next < revision) return `the revision of ${name} went from ${revision} to ${next}`;
  }
  return undefined;
}
