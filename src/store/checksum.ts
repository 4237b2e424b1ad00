import { createHash } from "node:crypto";

/** SHA-256 of these one after the other, in hexadecimal. */
export function checksum(...pieces: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}
