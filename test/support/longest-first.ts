import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take much longer than their size tells, the longest first. One of them at the end would keep
 * one worker busy while the other has nothing left to do.
 */
const LONG = [
  "inference/large-model",
  "e2e/bad-models",
  "publisher/fuzz",
  "publisher/rollout-model",
  "e2e/confirm",
  "e2e/benchmark-kill",
  "e2e/agent-kill",
  "inference/worker",
  "publisher/bad-sockets",
  "benchmark/real-models",
];

/** Begins with what takes longest, so that the workers end together; the rest by size, as vitest has it. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return index === -1 ? LONG.length : index;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}
