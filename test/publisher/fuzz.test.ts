import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { aPlan } from "../support/plans.js";

const CHILD = join(import.meta.dirname, "../support/fuzz-stream.js");
const execute = promisify(execFile);
/** A single leaked connection in a hundred would be beyond it. */
const GROWN_BYTES_MAX = 2_000_000;

interface Told {
  sent: number;
  causes: Record<string, number>;
  grownBytes: number;
}

describe("mutated messages", () => {
  it.each([
    {
      kind: "memory",
      what: "a million at the connections themselves",
      messages: 1_000_000,
      // It came beyond the parser: good messages among the bad did what they are for.
      reached: ["protocol-error", "snapshot", "accepted", "stale", "ack", "reject"],
    },
    {
      kind: "sockets",
      what: "fifty thousand over real sockets",
      messages: 50_000,
      reached: ["protocol-error", "snapshot"],
    },
  ])(
    "$what crash nothing and leave nothing behind",
    async ({ kind, messages, reached }) => {
      const seed = 20_301_126;
      const words = [kind, `${seed}`, `${messages}`, JSON.stringify(aPlan())];
      const { stdout } = await execute(process.execPath, ["--expose-gc", CHILD, ...words]);
      const told = JSON.parse(stdout) as Told;
      expect(told.sent, `seed ${seed}`).toBeGreaterThanOrEqual(messages);
      expect(told.grownBytes, `seed ${seed}`).toBeLessThan(GROWN_BYTES_MAX);
      for (const cause of reached) {
        expect(told.causes[cause], `${cause}, seed ${seed}`).toBeGreaterThan(0);
      }
    },
    180_000,
  );
});
