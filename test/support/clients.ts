import { createHash } from "node:crypto";

/** A client of the daemon as its configuration has it. */
export interface TokenClient {
  name: string;
  role: "admin" | "observer" | "runtime";
  nodes?: string[];
  tokenSha256: string;
}

/** With its name and `-token` as the token, where none is given. */
export function tokenClient(
  name: string,
  role: TokenClient["role"],
  { token = `${name}-token`, ...rest }: { token?: string; nodes?: string[] } = {},
): TokenClient {
  return { name, role, tokenSha256: createHash("sha256").update(token).digest("hex"), ...rest };
}
