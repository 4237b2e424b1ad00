import { sum } from "simple-statistics";
import type { ModelWorker } from "../inference/index.js";
import type { Profile } from "../protocol/index.js";
import { type Block, bytesOf } from "./blocks.js";
import { largestErrorPercent } from "./calibrate.js";
import { measureHalves } from "./halves.js";
import type { BenchmarkOptions } from "./options.js";
import { repeatOf } from "./repeat.js";
import { type Statistics, statisticsOf, statisticsSchema } from "./statistics.js";
import type { Steps } from "./steps.js";

export type CutCost = Pick<
  NonNullable<Profile["calibration"]>,
  "callOverheadMs" | "msPerCutByte" | "residualPercent"
>;

/** From both halves: together they take longer than the whole by a call and by what crosses. */
export async function costOfCuts(
  worker: ModelWorker,
  context: {
    blocks: readonly Block[];
    /** Of each, calibrated. */
    blockMs: readonly number[];
    whole: Statistics;
    options: BenchmarkOptions;
    steps: Steps;
    /** A profile of the same split and environment, whose findings are taken over. */
    previous: Profile | undefined;
    /** What a half counts in the progress. */
    work: number;
  },
): Promise<CutCost> {
  const { blocks, blockMs, whole, options, steps, previous, work } = context;
  if (previous?.calibration !== undefined && previous.wholeMs > 0) {
    const { callOverheadMs, msPerCutByte, residualPercent } = previous.calibration;
    const change = whole.medianMs / previous.wholeMs;
    return {
      callOverheadMs: callOverheadMs * change,
      msPerCutByte: msPerCutByte * change,
      residualPercent,
    };
  }
  const repeat = repeatOf(options, 0);
  const overhead = await steps.take({
    name: "nothing",
    what: "an empty call",
    work: 0,
    schema: statisticsSchema,
    run: async () => statisticsOf(await worker.measure({ kind: "nothing" }, repeat)),
  });
  const callOverheadMs = overhead.medianMs;
  const halves = await measureHalves(worker, { blocks, blockMs, steps, repeat, work });
  if (halves === undefined) return { callOverheadMs, msPerCutByte: 0, residualPercent: null };
  const { middle, pairs } = halves;
  const crossing = 2 * bytesOf(blocks[middle - 1]?.cutTensors ?? []);
  const excessMs = sum(pairs.map(({ measuredMs }) => measuredMs)) - whole.medianMs - callOverheadMs;
  return {
    callOverheadMs,
    msPerCutByte: crossing > 0 ? Math.max(0, excessMs) / crossing : 0,
    residualPercent: largestErrorPercent(pairs),
  };
}
