import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.js";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // ONNX Runtime lives in child processes; forks keep a crash of one test file out of the others.
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    // Many tests drive real processes: in CI one that fails is tried once more, and the report says so.
    retry: process.env["CI"] === undefined ? 0 : 1,
    hookTimeout: 30_000,
  },
});
