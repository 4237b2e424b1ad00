import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import type { TlsOptions } from "./options.js";

/** Who asks, and whom to trust. */
export interface Credentials {
  /** Bearer token. */
  token: string | undefined;
  tls: TlsOptions;
}

export interface RequestOptions extends Credentials {
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON with POST; without one it is a GET. */
  body?: unknown;
  signal: AbortSignal;
}

/**
 * One request over a connection of its own; unlike with `fetch`, certificates can be given. Resolves with
 * the answer, whatever its status and before its body; rejects where none comes.
 */
export function request(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  const { token, tls, body, signal } = options;
  const send = url.protocol === "https:" ? requestSecure : requestPlain;
  const headers = {
    ...options.headers,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  const method = body === undefined ? "GET" : "POST";
  return new Promise((resolve, reject) => {
    const asked = send(url, { method, headers, signal, agent: false, ...tls }, resolve);
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
