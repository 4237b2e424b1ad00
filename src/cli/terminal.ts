import { errorMessage, isAppError } from "../core/index.js";

/** What commands know of the process they run in. Data goes to `out`, talk and progress to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** True where `err` is a terminal: progress bars and colour are welcome. */
  interactive: boolean;
  /** Columns of the terminal; 80 where there is none. */
  columns: number;
  env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT or SIGTERM. */
  signal: AbortSignal;
  setExitCode(code: number): void;
}

export const EXIT_CODES = { ok: 0, failed: 1, usage: 2, badConfig: 78 } as const;

/** The exit code for an error that ends a command. */
export function exitCodeOf(error: unknown): number {
  if (isAppError(error, "USAGE")) return EXIT_CODES.usage;
  if (isAppError(error, "CONFIG_INVALID")) return EXIT_CODES.badConfig;
  return EXIT_CODES.failed;
}

/** One line for people; operating errors have no stack trace. */
export function describeFailure(error: unknown): string {
  return `scissiond: ${errorMessage(error)}`;
}
