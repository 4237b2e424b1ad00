import { resolve } from "node:path";
import type { PublisherOptions } from "../publisher/options.js";
import type { Finding } from "./problem.js";
import { readNamedFile } from "./secrets.js";

export interface ResolvedListen {
  options: PublisherOptions;
  errors: Finding[];
  warnings: Finding[];
}

/** The `listen` section with absolute paths; its files are read once, so that `check` finds what fails. */
export async function resolveListen(
  section: PublisherOptions,
  directory: string,
): Promise<ResolvedListen> {
  const { tls } = section;
  if (tls === undefined) return { options: section, errors: [], warnings: [] };
  const { certFile, keyFile, clientCaFile } = tls;
  const files = await Promise.all(
    (
      [
        ["certFile", certFile],
        ["keyFile", keyFile],
        ["clientCaFile", clientCaFile],
      ] as const
    ).map(([key, name]) =>
      readNamedFile(directory, name, {
        path: ["listen", "tls", key],
        secret: key === "keyFile",
      }),
    ),
  );
  return {
    options: {
      ...section,
      tls: {
        certFile: resolve(directory, certFile),
        keyFile: resolve(directory, keyFile),
        ...(clientCaFile === undefined ? {} : { clientCaFile: resolve(directory, clientCaFile) }),
      },
    },
    errors: files.flatMap(({ errors }) => errors),
    warnings: files.flatMap(({ warnings }) => warnings),
  };
}
