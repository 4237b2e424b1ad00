import { AppError } from "../core/index.js";
import {
  type HeardLink,
  hearLink,
  linkKey,
  type LinkQuality,
  type Moment,
  type SourceRules,
  sourceWeight,
} from "../drift/index.js";
import { type RankedPlan, rankPlans } from "../planner/index.js";
import { parseJson, type Recorded, recordSchema } from "../protocol/index.js";
import { planKey } from "./pool.js";
import { momentBefore, problemIn, type Scene } from "./scene.js";
import { type Replay, type ReplayOptions, replay, startingPlan } from "./simulate.js";

const MS_PER_SECOND = 1_000;
const SECONDS_MAX = 1_000_000;
const LINES_MAX = 5_000_000;
/** A longer silence is replayed as this long: the recorder was off, or the wall clock jumped. */
const GAP_MS_MAX = 60_000;
/** So many seconds, evenly taken, are planned for to find the plans to choose from. */
const PLANNED_SECONDS_MAX = 1_000;
const STATIC_SECONDS = 10;

/** Link samples of a recording in order of arrival. */
export interface Recording {
  /** `atMs`: when it was measured, since the start. `second`: when it arrived. */
  samples: readonly (Extract<Recorded, { kind: "link" }> & { atMs: number; second: number })[];
  /** Decisions that the daemon made while it recorded. */
  decisions: number;
}

/**
 * A recording of the daemon, one JSON document a line; files in order of age, the oldest first. Throws
 * TRACE_INVALID, naming file and line.
 */
export function parseRecording(files: readonly { path: string; text: string }[]): Recording {
  const samples: Recording["samples"][number][] = [];
  let decisions = 0;
  let nowMs = 0;
  let lastAt: number | null = null;
  for (const { path, text } of files) {
    const lines = text.split("\n", LINES_MAX);
    for (const [index, line] of lines.entries()) {
      if (line.trim() === "") continue;
      const parsed = parseJson(line, recordSchema);
      // A recorder that was killed leaves half a line at the end.
      if (!parsed.ok && index === lines.length - 1) continue;
      if (!parsed.ok) {
        throw new AppError("TRACE_INVALID", `${path}: line ${index + 1}: ${parsed.message}`);
      }
      const record = parsed.value;
      if (record.kind === "decision") {
        decisions += 1;
        continue;
      }
      const passedMs: number = record.at - (lastAt ?? record.at);
      // One that was measured before another that came sooner. Longer ago the wall clock has jumped.
      const isLate = passedMs < 0 && passedMs > -GAP_MS_MAX;
      const atMs = isLate ? nowMs + passedMs : nowMs + Math.min(Math.max(passedMs, 0), GAP_MS_MAX);
      if (!isLate) {
        lastAt = record.at;
        nowMs = atMs;
      }
      samples.push({ ...record, atMs, second: Math.floor(nowMs / MS_PER_SECOND) });
    }
  }
  if (samples.length === 0) {
    throw new AppError("TRACE_INVALID", `${files[0]?.path ?? "the recording"}: no link samples`);
  }
  if (nowMs / MS_PER_SECOND >= SECONDS_MAX) {
    throw new AppError("TRACE_INVALID", `more than ${SECONDS_MAX} seconds; replay fewer files`);
  }
  return { samples, decisions };
}

/**
 * As `replayTrace`, with every link as it was recorded, its sources weighed by `options.sources` as in
 * the daemon; links that were not recorded keep their quality.
 */
export function replayRecording(
  scene: Scene,
  recording: Recording,
  options: ReplayOptions & { sources: SourceRules },
): Replay {
  const moments = momentsOfRecording(momentBefore(scene).links, recording, options.sources);
  const start = startingPlan(scene);
  const [early = momentBefore(scene)] = meanMoment(moments.slice(0, STATIC_SECONDS));
  const [kept = start] = rankPlans(problemIn(scene, early)).plans;
  return replay(scene, { moments, plans: plansFor(scene, moments), start, kept }, options);
}

/**
 * Every link at the end of each second, by what all its sources said until then. Links that are not
 * among those `before` are in no plan, and are left out.
 */
export function momentsOfRecording(
  before: ReadonlyMap<string, LinkQuality>,
  { samples }: Recording,
  rules: SourceRules,
): Moment[] {
  const known = new Map(before);
  const heard = new Map<string, HeardLink>();
  const newestMs = new Map<string, number>();
  const moments: Moment[] = [];
  for (const { second, atMs, from, to, ...report } of samples) {
    while (moments.length < second) moments.push(momentOf(known, moments.length));
    const key = linkKey({ from, to });
    const old = known.get(key);
    const weight = sourceWeight(rules, report.source);
    if (old === undefined || weight === 0) continue;
    const last = heard.get(key) ?? { ...old, readings: [] };
    const hearing = hearLink(last, report, { weight, atMs });
    heard.set(key, hearing.heard);
    const isNewest = atMs >= (newestMs.get(key) ?? 0);
    if (!isNewest || hearing.quality === undefined) continue;
    newestMs.set(key, atMs);
    known.set(key, hearing.quality);
  }
  moments.push(momentOf(known, moments.length));
  return moments;
}

function momentOf(links: ReadonlyMap<string, LinkQuality>, second: number): Moment {
  return { atMs: second * MS_PER_SECOND, links: new Map(links) };
}

/** Mean round trip and bandwidth of each link; no moment for none. */
function meanMoment(moments: readonly Moment[]): Moment[] {
  const [first] = moments;
  if (first === undefined) return [];
  const mean = (of: (moment: Moment) => number): number =>
    moments.reduce((sum, moment) => sum + of(moment), 0) / moments.length;
  const links = [...first.links.keys()].map((key): [string, LinkQuality] => [
    key,
    {
      rttMs: mean((moment) => moment.links.get(key)?.rttMs ?? 0),
      bandwidthMbps: mean((moment) => moment.links.get(key)?.bandwidthMbps ?? 0),
    },
  ]);
  return [{ atMs: 0, links: new Map(links) }];
}

/** The best plans of seconds evenly taken, and of the mean of all. */
function plansFor(scene: Scene, moments: readonly Moment[]): RankedPlan[] {
  const step = Math.ceil(moments.length / PLANNED_SECONDS_MAX);
  const taken = moments.filter((_, second) => second % step === 0);
  const found = new Map<string, RankedPlan>();
  const seen = new Set<string>();
  for (const moment of [...taken, ...meanMoment(moments)]) {
    const text = JSON.stringify([...moment.links.values()]);
    if (seen.has(text)) continue;
    seen.add(text);
    const [plan] = rankPlans(problemIn(scene, moment)).plans;
    if (plan !== undefined) found.set(planKey(plan), plan);
  }
  return [...found.values()];
}
