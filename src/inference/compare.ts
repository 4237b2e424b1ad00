import type { Compared } from "./messages.js";

/** What of a tensor is compared. `data` of float16 is already decoded to numbers. */
export interface ComparedTensor {
  dtype: string;
  shape: readonly number[];
  data: ArrayLike<number> | ArrayLike<bigint> | readonly string[];
}

/** Half precision keeps 11 bits: one bit is a relative 2⁻¹¹ ≈ 4.9e-4, and fusion moves a few. */
const FLOAT16_RELATIVE_TOLERANCE = 4e-3;
const INEXACT_DTYPES = new Set(["float32", "float64", "float16"]);
/** JSON has no infinity; a difference that is no number at all counts as this. */
const UNBOUNDED = Number.MAX_VALUE;
const EQUAL: Compared = { maxAbsoluteError: 0, maxRelativeError: 0, ok: true };
const DIFFERENT: Compared = {
  maxAbsoluteError: UNBOUNDED,
  maxRelativeError: UNBOUNDED,
  ok: false,
};

/**
 * Floats are equal when no element differs by more than `relativeTolerance` times the largest
 * finite magnitude in `expected`; NaN equals NaN and an infinity itself, at the same place.
 * Everything else must be equal exactly. Relative errors are relative to that same magnitude.
 */
export function compareTensors(
  expected: ComparedTensor,
  actual: ComparedTensor,
  relativeTolerance: number,
): Compared {
  if (expected.dtype !== actual.dtype || !sameShape(expected.shape, actual.shape)) return DIFFERENT;
  if (expected.data.length !== actual.data.length) return DIFFERENT;
  if (!INEXACT_DTYPES.has(expected.dtype)) return compareExactly(expected.data, actual.data);
  const tolerance =
    expected.dtype === "float16"
      ? Math.max(relativeTolerance, FLOAT16_RELATIVE_TOLERANCE)
      : relativeTolerance;
  const wanted = expected.data as ArrayLike<number>;
  return compareFloats(wanted, actual.data as ArrayLike<number>, tolerance);
}

/** The worst of several comparisons; equal where there is none. */
export function worstOf(comparisons: readonly Compared[]): Compared {
  return comparisons.reduce(
    (worst, one) => ({
      maxAbsoluteError: Math.max(worst.maxAbsoluteError, one.maxAbsoluteError),
      maxRelativeError: Math.max(worst.maxRelativeError, one.maxRelativeError),
      ok: worst.ok && one.ok,
    }),
    EQUAL,
  );
}

function compareFloats(
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
  tolerance: number,
): Compared {
  let magnitude = 0;
  let maxAbsoluteError = 0;
  for (let index = 0; index < expected.length; index++) {
    const a = expected[index] as number;
    const b = actual[index] as number;
    if (Number.isFinite(a)) magnitude = Math.max(magnitude, Math.abs(a));
    if (Object.is(a, b) || a === b) continue;
    const difference = Math.abs(a - b);
    if (!Number.isFinite(difference)) return DIFFERENT;
    maxAbsoluteError = Math.max(maxAbsoluteError, difference);
  }
  if (maxAbsoluteError === 0) return EQUAL;
  const maxRelativeError =
    magnitude === 0 ? UNBOUNDED : Math.min(maxAbsoluteError / magnitude, UNBOUNDED);
  return { maxAbsoluteError, maxRelativeError, ok: maxRelativeError <= tolerance };
}

function compareExactly(
  expected: ComparedTensor["data"],
  actual: ComparedTensor["data"],
): Compared {
  const comparisons: Compared = { ...EQUAL };
  for (let index = 0; index < expected.length; index++) {
    const a = expected[index];
    const b = actual[index];
    if (a === b) continue;
    if (typeof a === "string" || typeof b === "string") return DIFFERENT;
    const difference = Math.abs(Number(a) - Number(b));
    const magnitude = Math.max(Math.abs(Number(a)), 1);
    comparisons.maxAbsoluteError = Math.max(comparisons.maxAbsoluteError, difference);
    comparisons.maxRelativeError = Math.max(comparisons.maxRelativeError, difference / magnitude);
    comparisons.ok = false;
  }
  return comparisons;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, axis) => length === b[axis]);
}
