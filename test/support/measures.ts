import type { MeasureCommand, Profile } from "../../src/protocol/index.js";

/** What an agent answers to the command `measure`, whose profile is this. */
export type Measure = (command: MeasureCommand, profile: Profile) => Promise<unknown>;

/** Takes what the blocks sum to, times `factor`. */
export const honest =
  (factor = 1): Measure =>
  ({ ranges }, profile) =>
    Promise.resolve({
      kind: "measured",
      measuredAt: Date.now(),
      environment: profile.environment,
      ranges: ranges.map((range) => ({ ...range, ...timesOf(blocksMs(profile, range) * factor) })),
    });

/** Never answers. */
export const silent: Measure = () => new Promise<never>(() => undefined);

function timesOf(medianMs: number) {
  return { medianMs, p95Ms: medianMs, spreadMs: 0, repeats: 5, stable: true };
}

function blocksMs(
  { blocks }: Profile,
  { firstLayer, lastLayer }: MeasureCommand["ranges"][number],
): number {
  return blocks
    .filter((block) => block.firstLayer >= firstLayer && block.lastLayer <= lastLayer)
    .reduce((sum, block) => sum + block.medianMs, 0);
}
