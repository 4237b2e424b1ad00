import { sum } from "simple-statistics";
import type { Calibration } from "../protocol/index.js";

/** A block measured on its own. */
export interface RawBlock {
  rawMs: number;
  /** Bytes that enter it over a cut; 0 for the first block. */
  cutBytesIn: number;
  /** Bytes that leave it over a cut; 0 for the last block. */
  cutBytesOut: number;
}

/** What a block keeps of its raw time at least, however many bytes cross: it does compute something. */
const SHARE_KEPT_MIN = 0.3;

/**
 * Times that sum to the whole model's. A block on its own also pays for the call and, at each cut,
 * for copying what crosses and for changing its memory layout there and back; inside a partition it
 * does not. So the call's overhead is taken off, then what the sum still exceeds the whole by, in
 * proportion to the crossing bytes, and what remains is scaled. What
 * that gains over scaling alone is measured in `test/bench/fidelity.bench.js`.
 */
export function calibrate(
  blocks: readonly RawBlock[],
  reference: { wholeMs: number; callOverheadMs: number },
): { blockMs: number[]; calibration: Omit<Calibration, "residualPercent" | "method"> } {
  const { wholeMs, callOverheadMs } = reference;
  const rawSumMs = sum(blocks.map(({ rawMs }) => rawMs));
  const computeMs = blocks.map(({ rawMs }) =>
    Math.max(rawMs - callOverheadMs, SHARE_KEPT_MIN * rawMs),
  );
  const crossingBytes = blocks.map((block) => block.cutBytesIn + block.cutBytesOut);
  const excessMs = Math.max(0, sum(computeMs) - wholeMs);
  const allBytes = sum(crossingBytes);
  const msPerCutByte = allBytes === 0 ? 0 : excessMs / allBytes;
  const withoutCutsMs = blocks.map(({ rawMs }, index) =>
    Math.max(
      (computeMs[index] ?? 0) - msPerCutByte * (crossingBytes[index] ?? 0),
      Math.min(computeMs[index] ?? 0, SHARE_KEPT_MIN * rawMs),
    ),
  );
  const sumMs = sum(withoutCutsMs);
  const factor = wholeMs / sumMs;
  if (!Number.isFinite(factor) || factor <= 0) {
    // Nothing took any time: whatever the whole took is shared out evenly.
    const blockMs = blocks.map(() => wholeMs / blocks.length);
    return { blockMs, calibration: { rawSumMs, callOverheadMs, msPerCutByte, factor: 1 } };
  }
  const blockMs = withoutCutsMs.map((timeMs) => timeMs * factor);
  return { blockMs, calibration: { rawSumMs, callOverheadMs, msPerCutByte, factor } };
}

/** Where two parts take as equal a time as they can: how many blocks the first has; 0 when there is no cut. */
export function middleOf(blockMs: readonly number[]): number {
  const halfMs = sum(blockMs) / 2;
  let bestDistanceMs = Infinity;
  let best = 0;
  let sumMs = 0;
  for (let count = 1; count < blockMs.length; count++) {
    sumMs += blockMs[count - 1] ?? 0;
    const distanceMs = Math.abs(sumMs - halfMs);
    if (distanceMs >= bestDistanceMs) continue;
    bestDistanceMs = distanceMs;
    best = count;
  }
  return best;
}

/** Largest error of predictions against measurements, in percent of what was measured. */
export function largestErrorPercent(
  pairs: readonly { predictedMs: number; measuredMs: number }[],
): number | null {
  const errors = pairs
    .filter(({ measuredMs }) => measuredMs > 0)
    .map(({ predictedMs, measuredMs }) => (100 * Math.abs(predictedMs - measuredMs)) / measuredMs);
  return errors.length === 0 ? null : Math.max(...errors);
}
