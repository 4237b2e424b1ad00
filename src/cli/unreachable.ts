import { AppError, errorMessage } from "../core/index.js";

/** The error of a command that finds no daemon; says what to look at next. */
export function unreachable(url: string, cause: unknown): AppError {
  const failure = failureOf(cause);
  const message = `no daemon answers at ${url} (${failure.text}); ${nextStep(url, failure)}`;
  return new AppError("DAEMON_UNREACHABLE", message, { cause });
}

interface Failure {
  code: unknown;
  text: string;
}

/** "…:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:…", over several lines. */
const OPENSSL_ERROR = /:error:([0-9A-F]{8}):[^:]*:[^:]*:([^:]+)/;

/** What OpenSSL says is all there is where Node's own code is EPROTO, as of all that is wrong with TLS. */
function failureOf(cause: unknown): Failure {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const message = errorMessage(cause);
  const [, number, reason] = OPENSSL_ERROR.exec(message) ?? [];
  return reason === undefined
    ? { code, text: message }
    : { code: number, text: `TLS: ${reason.trim()}` };
}

/** Of a certificate whose signer is not among those that are trusted. */
const UNKNOWN_SIGNER: ReadonlySet<unknown> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);
const OUT_OF_DATE: ReadonlySet<unknown> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);
/** OpenSSL's number for "wrong version number": where TLS should begin there are other words. */
const NO_TLS = "0A00010B";
/** What is left of a connection that should have begun with TLS. */
const CUT_OFF: ReadonlySet<unknown> = new Set(["ECONNRESET", "HPE_INVALID_CONSTANT"]);

function nextStep(url: string, { code }: Failure): string {
  if (UNKNOWN_SIGNER.has(code)) return "give the authority that signed its certificate with --ca";
  if (OUT_OF_DATE.has(code)) return "renew its certificate, or set the clock of this machine";
  const { protocol } = new URL(url);
  const isSecure = protocol === "https:" || protocol === "wss:";
  if (code === NO_TLS) return "it speaks no TLS there: use http:// in --url";
  if (!isSecure && CUT_OFF.has(code)) return "if it is secured by TLS, use https:// in --url";
  return "is it running, and is --url right?";
}
