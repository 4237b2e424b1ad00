import { pino } from "pino";
import type { Logger } from "../core/index.js";

/** Keys under which a secret could come into the log by mistake. */
const SECRET_KEYS = ["password", "token"];

/** JSON lines on standard output, written at once: journald or the terminal keeps them. */
export function openLogger(level: "debug" | "info" | "warn" | "error"): Logger {
  const paths = SECRET_KEYS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino(
    {
      level,
      base: null,
      redact: { paths, censor: "[secret]" },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ fd: 1, sync: true }),
  );
}
