// Chooses a cut under one of AdaptiveDNN's conditions from what telemetry and benchmarks of it show:
// the network's rate and the edge's and the cloud's time of every cut. Never from its measured total.

/** Conditions whose computing is slower or faster by this share tell 1/e as much. */
export const LIKENESS = 0.2;
/** Each value is the mean of two requests: the rarest tenth at both ends says nothing of the next one. */
const TRIMMED_SHARE = 0.1;
/** A condition that is like no other is judged by all of them. */
const WEIGHT_MIN = 1e-6;
/** Some measured times are zero or negative. */
const TIME_MS_MIN = 0.01;

/**
 * What each cut is expected to take: computing as measured, and the mean transfer in other conditions
 * of the same network, those that compute alike first. Conditions are [digits, rows], rows are
 * [cut, totalMs, edgeMs, cloudMs]; digits[0] is the network. The order of the answer is that of the rows.
 */
export function predictCuts([digits, rows], conditions, likeness = LIKENESS) {
  const others = conditions
    .filter(([other]) => other !== digits && other[0] === digits[0])
    .map(([, measured]) => ({
      weight: WEIGHT_MIN + Math.exp(-unlikeness(rows, measured) / likeness),
      transferMs: new Map(
        measured.map(([cut, totalMs, edgeMs, cloudMs]) => [cut, totalMs - edgeMs - cloudMs]),
      ),
    }));
  return rows.map(([cut, , edgeMs, cloudMs]) => {
    const seen = others.flatMap(({ weight, transferMs }) =>
      transferMs.has(cut) ? [{ weight, value: transferMs.get(cut) }] : [],
    );
    return edgeMs + cloudMs + trimmedMean(seen);
  });
}

/** By how much the edge and the cloud are slower or faster, as logarithms. */
function unlikeness(rows, others) {
  const known = new Map(others.map((row) => [row[0], row]));
  const ratio = (column) =>
    middle(
      rows.flatMap((row) => {
        const other = known.get(row[0]);
        return other === undefined ? [] : [log(other[column]) - log(row[column])];
      }),
    );
  return Math.hypot(ratio(2), ratio(3));
}

function log(timeMs) {
  return Math.log(Math.max(timeMs, TIME_MS_MIN));
}

function middle(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1] ?? 0, sorted[Math.floor(half)] ?? 0];
  return (low + high) / 2;
}

/** Mean by weight, without a share of the weight at both ends; infinite where nothing was seen. */
function trimmedMean(weighted) {
  const sorted = weighted.toSorted((a, b) => a.value - b.value);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let [before, sum, kept] = [0, 0, 0];
  for (const { value, weight } of sorted) {
    const share = weight / total;
    const inside = Math.min(before + share, 1 - TRIMMED_SHARE) - Math.max(before, TRIMMED_SHARE);
    before += share;
    if (inside <= 0) continue;
    sum += value * inside;
    kept += inside;
  }
  return kept === 0 ? Number.POSITIVE_INFINITY : sum / kept;
}
