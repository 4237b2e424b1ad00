import { AppError, errorMessage } from "../core/index.js";

export const DEFAULT_URL = "http://127.0.0.1:8420";

/** The error of a command that finds no daemon; says what to look at next. */
export function unreachable(url: string, cause: unknown): AppError {
  const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
  const message = `no daemon answers at ${url} (${errorMessage(reason)}); is it running, and is --url right?`;
  return new AppError("DAEMON_UNREACHABLE", message, { cause });
}
