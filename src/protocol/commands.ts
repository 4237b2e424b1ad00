import type { z } from "zod";
import { measureAnswerSchema, measureCommandSchema } from "./confirm.js";
import { benchmarkAnswerSchema, benchmarkCommandSchema, yieldCommandSchema } from "./mqtt.js";

/**
 * The commands that a daemon sends to an agent, by the last level of their topic: what is asked, and
 * `data` of an answer that says `ok`; null where that is all it says.
 */
export const NODE_COMMANDS = {
  benchmark: { command: benchmarkCommandSchema, answer: benchmarkAnswerSchema },
  measure: { command: measureCommandSchema, answer: measureAnswerSchema },
  yield: { command: yieldCommandSchema, answer: null },
} as const satisfies Record<string, { command: z.ZodType; answer: z.ZodType | null }>;

/** A command that nodes take. */
export type NodeCommandName = keyof typeof NODE_COMMANDS;
