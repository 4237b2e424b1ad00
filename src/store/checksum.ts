import { createHash } from "node:crypto";

/** SHA-256 of these one after the other, in hexadecimal. */
export function checksum(...texts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(text);
  return hash.digest("hex");
}
