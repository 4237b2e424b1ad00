import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Files that take much longer than their size tells, the longest first. One of them at the end would keep
 * one worker busy while the other has nothing left to do.
 */
const LONG = [
  "e2e/kill",
  "e2e/benchmark-kill",
  "benchmark/real-models",
  "e2e/bad-models",
  "e2e/history-kill",
  "e2e/control",
  "e2e/confirm",
  "inference/large-model",
  "e2e/agent-kill",
  "store/kill",
  "client/browser",
  "benchmark/kept",
  "e2e/confirm-failures",
  "benchmark/resume",
  "publisher/fuzz",
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
