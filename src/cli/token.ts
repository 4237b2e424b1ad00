import { readFile } from "node:fs/promises";
import { AppError, errorMessage } from "../core/index.js";
import type { Terminal } from "./terminal.js";

export const TOKEN_FILE_OPTION = [
  "--token-file <path>",
  "file that holds the bearer token, where the daemon asks for one (or SCISSIOND_TOKEN)",
] as const;

/** The bearer token of the file, else of the environment; never of the command line, which all can read. */
export async function readToken(
  terminal: Terminal,
  file: string | undefined,
): Promise<string | undefined> {
  if (file === undefined) return terminal.env["SCISSIOND_TOKEN"];
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw new AppError("USAGE", `cannot read --token-file: ${errorMessage(cause)}`, { cause });
  }
}

/** Headers of a request to the daemon. */
export function bearerHeaders(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
