import { AppError } from "../core/index.js";
import type { DriftOptions } from "../drift/index.js";
import type { Replay } from "./simulate.js";

/** More switches than this share of the tracker's are no gain, whatever the latency. */
const SWITCH_SHARE_MAX = 0.25;
const SECONDS_MIN = 40;

/** What is tried, every one with every other. */
const TRIED = {
  smoothingHalfLifeSeconds: [4, 10, 25],
  newestSamplePercent: [20, 40, 60],
  switchCostPercent: [40, 60, 90],
  regimeSeconds: [4, 8, 16],
} as const satisfies Partial<Record<keyof DriftOptions, readonly number[]>>;

type Tuned = Pick<DriftOptions, keyof typeof TRIED>;

interface Outcome {
  meanLatencyMs: number;
  switches: number;
}

export interface Tuning {
  /** The thresholds that did best on the first half. */
  proposed: Tuned;
  /** On the second half, which the choice has not seen. */
  judged: { present: Outcome; proposed: Outcome; tracker: Outcome };
  /** Whether the second half agrees. */
  isBetter: boolean;
}

/**
 * Proposes thresholds: trained on the first half of `samples`, judged on the second. The best has the
 * lowest mean latency of those that switch no more than a quarter as often as the tracker, or, where
 * none is so calm, no more often than the present thresholds. Throws TRACE_INVALID for too short a recording.
 */
export function tune<Sample>(
  samples: readonly Sample[],
  present: DriftOptions,
  replay: (samples: readonly Sample[], policy: DriftOptions) => Replay,
): Tuning {
  if (samples.length < SECONDS_MIN) {
    throw new AppError(
      "TRACE_INVALID",
      `${samples.length} samples are too few to tune by; record ${SECONDS_MIN} at least`,
    );
  }
  const middle = Math.floor(samples.length / 2);
  const [first, second] = [samples.slice(0, middle), samples.slice(middle)];
  const known = replay(first, present);
  const switchesMax = Math.max(SWITCH_SHARE_MAX * known.tracker.switches, known.adaptive.switches);
  let proposed = pick(present);
  let bestMs = known.adaptive.meanLatencyMs;
  for (const candidate of candidates()) {
    const { adaptive } = replay(first, { ...present, ...candidate });
    if (adaptive.switches > switchesMax || adaptive.meanLatencyMs >= bestMs) continue;
    proposed = candidate;
    bestMs = adaptive.meanLatencyMs;
  }
  const before = replay(second, present);
  const after = replay(second, { ...present, ...proposed });
  return {
    proposed,
    judged: {
      present: outcomeOf(before.adaptive),
      proposed: outcomeOf(after.adaptive),
      tracker: outcomeOf(before.tracker),
    },
    isBetter: after.adaptive.meanLatencyMs < before.adaptive.meanLatencyMs,
  };
}

function candidates(): Tuned[] {
  const { smoothingHalfLifeSeconds, newestSamplePercent, switchCostPercent, regimeSeconds } = TRIED;
  return smoothingHalfLifeSeconds.flatMap((halfLife) =>
    newestSamplePercent.flatMap((newest) =>
      switchCostPercent.flatMap((cost) =>
        regimeSeconds.map((regime) => ({
          smoothingHalfLifeSeconds: halfLife,
          newestSamplePercent: newest,
          switchCostPercent: cost,
          regimeSeconds: regime,
        })),
      ),
    ),
  );
}

function pick(options: DriftOptions): Tuned {
  const { smoothingHalfLifeSeconds, newestSamplePercent, switchCostPercent, regimeSeconds } =
    options;
  return { smoothingHalfLifeSeconds, newestSamplePercent, switchCostPercent, regimeSeconds };
}

function outcomeOf({ meanLatencyMs, switches }: Outcome): Outcome {
  return { meanLatencyMs, switches };
}
