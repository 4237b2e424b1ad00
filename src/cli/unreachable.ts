import { AppError, errorMessage } from "../core/index.js";

/** The error of a command that finds no daemon; says what to look at next. */
export function unreachable(url: string, cause: unknown): AppError {
  const message = `no daemon answers at ${url} (${errorMessage(cause)}); ${nextStep(url, cause)}`;
  return new AppError("DAEMON_UNREACHABLE", message, { cause });
}

/** Codes of a certificate whose signer is not among those that are trusted. */
const UNKNOWN_SIGNER: ReadonlySet<unknown> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
/** What OpenSSL says of an answer that is no TLS, and what is left of a connection that should have been. */
const NO_TLS: ReadonlySet<unknown> = new Set(["EPROTO", "ERR_SSL_WRONG_VERSION_NUMBER"]);
const CUT_OFF: ReadonlySet<unknown> = new Set(["ECONNRESET", "HPE_INVALID_CONSTANT"]);

function nextStep(url: string, cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (UNKNOWN_SIGNER.has(code)) return "give the authority that signed its certificate with --ca";
  const { protocol } = new URL(url);
  const isSecure = protocol === "https:" || protocol === "wss:";
  if (isSecure && NO_TLS.has(code)) return "it speaks no TLS there: use http:// in --url";
  if (!isSecure && CUT_OFF.has(code)) return "if it is secured by TLS, use https:// in --url";
  return "is it running, and is --url right?";
}
