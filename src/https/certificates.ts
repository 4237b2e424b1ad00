import { createPrivateKey, X509Certificate } from "node:crypto";
import { AppError, errorMessage } from "../core/index.js";
import type { TlsOptions } from "./options.js";

const PEM_CERTIFICATE = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g;
const PEM_BEGIN = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/**
 * Throws USAGE where a text is no PEM of what it should be, or the key is not the certificate's. Node
 * would take authorities that it cannot read for none, and say the rest at each attempt to connect.
 */
export function refuseBadCertificates({ ca, cert, key }: TlsOptions): void {
  if ((cert === undefined) !== (key === undefined)) {
    throw new AppError("USAGE", "a client certificate needs both tls.cert and tls.key");
  }
  if (ca !== undefined) certificatesOf("tls.ca", ca);
  if (cert === undefined || key === undefined) return;
  const [own] = certificatesOf("tls.cert", cert);
  const privateKey = read("tls.key", () => createPrivateKey(key));
  if (own?.checkPrivateKey(privateKey) !== true) {
    throw new AppError("USAGE", "tls.key is not the key of the first certificate of tls.cert");
  }
}

function certificatesOf(name: string, text: string): X509Certificate[] {
  const blocks = text.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0 || blocks.length !== text.match(PEM_BEGIN)?.length) {
    throw new AppError("USAGE", `${name} is no PEM text of whole certificates`);
  }
  return blocks.map((block) => read(name, () => new X509Certificate(block)));
}

/** What OpenSSL says does not repeat the text, so that no key gets into a log. */
function read<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new AppError("USAGE", `${name} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
