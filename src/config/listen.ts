import { resolve } from "node:path";
import type { PublisherOptions } from "../publisher/options.js";
import { certificateErrors, certificateWarnings } from "./client-tls.js";
import type { Finding, Path } from "./problem.js";
import { type FileContents, readNamedFile } from "./secrets.js";

export interface ResolvedListen {
  options: PublisherOptions;
  errors: Finding[];
  warnings: Finding[];
}

const KEYS = { cert: "certFile", key: "keyFile", ca: "clientCaFile" } as const;

/** The `listen` section with absolute paths; its files are read once, so that `check` finds what fails. */
export async function resolveListen(
  section: PublisherOptions,
  directory: string,
): Promise<ResolvedListen> {
  const { tls } = section;
  if (tls === undefined) return { options: section, errors: [], warnings: [] };
  const { certFile, keyFile, clientCaFile } = tls;
  const pathOf = (of: keyof typeof KEYS): Path => ["listen", "tls", KEYS[of]];
  const read = (of: keyof typeof KEYS): Promise<FileContents> =>
    readNamedFile(directory, tls[KEYS[of]], { path: pathOf(of), secret: of === "key" });
  const [cert, key, ca] = await Promise.all([read("cert"), read("key"), read("ca")]);
  const files = [cert, key, ca];
  const unread = files.flatMap(({ errors }) => errors);
  const texts = {
    cert: cert.text ?? "",
    key: key.text ?? "",
    ...(ca.text === undefined ? {} : { ca: ca.text }),
  };
  return {
    options: {
      ...section,
      tls: {
        certFile: resolve(directory, certFile),
        keyFile: resolve(directory, keyFile),
        ...(clientCaFile === undefined ? {} : { clientCaFile: resolve(directory, clientCaFile) }),
      },
    },
    errors: unread.length > 0 ? unread : certificateErrors(texts, pathOf),
    warnings: [...files.flatMap(({ warnings }) => warnings), ...certificateWarnings(texts, pathOf)],
  };
}
