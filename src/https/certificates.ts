import { createPrivateKey, X509Certificate } from "node:crypto";
import { AppError, errorMessage } from "../core/index.js";
import type { TlsOptions } from "./options.js";

const PEM_CERTIFICATE = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g;
const PEM_BEGIN = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/** What is wrong with one of the texts, in words that follow its name. */
export interface CertificateProblem {
  of: keyof TlsOptions;
  message: string;
}

/**
 * The first text that is no PEM of what it should be, or belongs to no other; undefined where all are
 * good. Node would take authorities that it cannot read for none, and say the rest at each attempt to
 * connect.
 */
export function certificateProblem({ ca, cert, key }: TlsOptions): CertificateProblem | undefined {
  if (ca !== undefined) {
    const authorities = certificatesOf(ca);
    if (typeof authorities === "string") return { of: "ca", message: authorities };
  }
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) return { of: "key", message: "needs the certificate that belongs to it" };
  if (key === undefined) return { of: "cert", message: "needs the key that belongs to it" };
  const chain = certificatesOf(cert);
  if (typeof chain === "string") return { of: "cert", message: chain };
  const privateKey = read(() => createPrivateKey(key));
  if (typeof privateKey === "string") return { of: "key", message: privateKey };
  const isOwn = chain[0]?.checkPrivateKey(privateKey) === true;
  return isOwn ? undefined : { of: "key", message: "is not the key of the first certificate" };
}

/** Throws USAGE for what `certificateProblem` finds; `nameOf` is what the user calls the text. */
export function refuseBadCertificates(
  tls: TlsOptions,
  nameOf: (of: keyof TlsOptions) => string,
): void {
  const problem = certificateProblem(tls);
  if (problem !== undefined)
    throw new AppError("USAGE", `${nameOf(problem.of)} ${problem.message}`);
}

/** At least one, whole; or what is wrong with the text. */
function certificatesOf(text: string): X509Certificate[] | string {
  const blocks = text.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length !== text.match(PEM_BEGIN)?.length) {
    return "is no PEM text of whole certificates";
  }
  return read(() => blocks.map((block) => new X509Certificate(block)));
}

/** What OpenSSL says does not repeat the text, so that no key gets into a log. */
function read<T>(parse: () => T): T | string {
  try {
    return parse();
  } catch (cause) {
    return `cannot be read: ${errorMessage(cause)}`;
  }
}
