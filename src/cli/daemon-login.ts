import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { AppError, errorMessage } from "../core/index.js";
import { type Credentials, refuseBadCertificates } from "../https/index.js";
import type { Terminal } from "./terminal.js";

const DEFAULT_URL = "http://127.0.0.1:8420";

/** What `addDaemonOptions` reads. */
export interface DaemonFlags {
  url: string;
  tokenFile?: string;
  ca?: string;
  cert?: string;
  key?: string;
}

/** A daemon, and what to show it. */
export interface DaemonLogin extends Credentials {
  url: string;
}

/** Where the daemon is and how to log in: the options of every command that talks to one. */
export function addDaemonOptions(command: Command): Command {
  return command
    .option("--url <url>", "address of the daemon", DEFAULT_URL)
    .option(
      "--token-file <path>",
      "file that holds the bearer token, where the daemon asks for one (or SCISSIOND_TOKEN)",
    )
    .option("--ca <path>", "PEM of the authorities to trust, for https://")
    .option("--cert <path>", "PEM of your own certificate, where the daemon knows you by it")
    .option("--key <path>", "PEM of that certificate's key");
}

/**
 * Reads the files that the flags name. The token comes from its file, else from the environment; never
 * from the command line, which all can read. Throws USAGE for what cannot be used.
 */
export async function readLogin(
  terminal: Pick<Terminal, "env">,
  flags: DaemonFlags,
): Promise<DaemonLogin> {
  const { url, tokenFile, ca, cert, key } = flags;
  if (!URL.canParse(url)) throw new AppError("USAGE", `${url} is no URL; use http://HOST:PORT`);
  const tls = {
    ...(ca === undefined ? {} : { ca: await contentOf("--ca", ca) }),
    ...(cert === undefined ? {} : { cert: await contentOf("--cert", cert) }),
    ...(key === undefined ? {} : { key: await contentOf("--key", key) }),
  };
  refuseBadCertificates(tls, (of) => `--${of}`);
  return {
    url,
    token:
      tokenFile === undefined
        ? terminal.env["SCISSIOND_TOKEN"]
        : (await contentOf("--token-file", tokenFile)).trim(),
    tls,
  };
}

async function contentOf(flag: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new AppError("USAGE", `cannot read ${flag}: ${errorMessage(cause)}`, { cause });
  }
}
