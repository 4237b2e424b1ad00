const HOUR_MS = 3_600_000;

/** When plans were published, in order; at most the last hour's. Monotonic milliseconds. */
export type Publications = readonly number[];

export function withPublication(publications: Publications, nowMs: number): Publications {
  return [...lastHour(publications, nowMs), nowMs];
}

/** Milliseconds until one more is within `perHourMax`; 0: now. */
export function rateWaitMs(publications: Publications, nowMs: number, perHourMax: number): number {
  const recent = lastHour(publications, nowMs);
  const blocking = recent[recent.length - perHourMax];
  return blocking === undefined ? 0 : blocking + HOUR_MS - nowMs;
}

function lastHour(publications: Publications, nowMs: number): Publications {
  return publications.filter((atMs) => nowMs - atMs < HOUR_MS);
}
