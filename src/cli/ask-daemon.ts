import { z } from "zod";
import { AppError } from "../core/index.js";
import { request } from "../https/index.js";
import { parseJson } from "../protocol/index.js";
import type { DaemonLogin } from "./daemon-login.js";
import { unreachable } from "./unreachable.js";

const BODY_BYTES_MAX = 67_108_864;

/** One request to the daemon. */
export interface Question {
  path: string;
  /** Sent as JSON with POST; without one it is a GET. */
  body?: unknown;
  timeoutMs: number;
  signal: AbortSignal;
}

/** What the daemon answered, whatever the status. */
export interface Reply {
  status: number;
  text: string;
}

/**
 * Asks the daemon over HTTP. Throws USAGE for a URL of another kind, DAEMON_UNREACHABLE where no whole
 * answer comes in time.
 */
export async function askDaemon(login: DaemonLogin, question: Question): Promise<Reply> {
  const target = new URL(question.path, login.url);
  if (target.protocol !== "http:" && target.protocol !== "https:") {
    throw new AppError("USAGE", `${login.url}: use http://HOST:PORT or https://HOST:PORT`);
  }
  const timeout = AbortSignal.timeout(question.timeoutMs);
  try {
    const signal = AbortSignal.any([question.signal, timeout]);
    const response = await request(target, { ...login, body: question.body, signal });
    return { status: response.statusCode ?? 0, text: await boundedText(response) };
  } catch (cause) {
    const late = new Error(`no answer within ${question.timeoutMs} ms`, { cause });
    throw unreachable(login.url, timeout.aborted ? late : cause);
  }
}

const refusalSchema = z.object({ error: z.object({ message: z.string() }) });

/** The error of a command that the daemon refused, in the daemon's words where it gave some. */
export function refused({ status, text }: Reply): AppError {
  const refusal = parseJson(text, refusalSchema);
  const why = refusal.ok ? refusal.value.error.message : "it does not say why";
  return new AppError("COMMAND_FAILED", `the daemon refused (HTTP status ${status}): ${why}`);
}

async function boundedText(response: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) throw new Error(`it sent more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
