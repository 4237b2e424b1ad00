import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { AppError, errorMessage } from "../core/index.js";
import type { TlsOptions } from "./options.js";

const PEM_CERTIFICATE = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g;
const PEM_BEGIN = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const PEM_KEY = /-----BEGIN (?:\w+ )?PRIVATE KEY-----/;
/** Of PKCS #8, and of the older form. */
const PEM_KEY_ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

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
  const privateKey = privateKeyOf(key);
  if (typeof privateKey === "string") return { of: "key", message: privateKey };
  const isOwn = chain[0]?.checkPrivateKey(privateKey) === true;
  return isOwn ? undefined : { of: "key", message: "is not the key of the first certificate" };
}

/**
 * The first certificate that is good but not at `nowMs` (Unix milliseconds). Not an error: a clock that
 * is set later than everything else starts, as on many devices, would make one of every certificate.
 */
export function certificateOutOfDate(
  { ca, cert }: TlsOptions,
  nowMs: number,
): CertificateProblem | undefined {
  for (const [of, text] of [["ca", ca] as const, ["cert", cert] as const]) {
    const chain = text === undefined ? [] : certificatesOf(text);
    for (const { validFrom, validTo } of typeof chain === "string" ? [] : chain) {
      if (nowMs > Date.parse(validTo)) return { of, message: `was valid until ${validTo}` };
      if (nowMs < Date.parse(validFrom)) return { of, message: `is valid from ${validFrom} on` };
    }
  }
  return undefined;
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
    const isKey = blocks.length === 0 && PEM_KEY.test(text);
    return isKey ? "is a private key and no certificate" : "is no PEM text of whole certificates";
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    return `cannot be read: ${errorMessage(cause)}`;
  }
}

/** A key; or what is wrong with the text, of which nothing is repeated, so that no key gets into a log. */
function privateKeyOf(text: string): KeyObject | string {
  if (PEM_KEY_ENCRYPTED.test(text)) {
    return "is encrypted; `openssl pkey -in KEY -out PLAIN` takes its passphrase off";
  }
  try {
    return createPrivateKey(text);
  } catch {
    const isCertificate = typeof certificatesOf(text) !== "string";
    return isCertificate
      ? "is a certificate and no private key"
      : "is no PEM text of a whole private key";
  }
}
