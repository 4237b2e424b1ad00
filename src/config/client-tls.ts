import type { z } from "zod";
import {
  certificateOutOfDate,
  type CertificateProblem,
  certificateProblem,
  type TlsOptions,
} from "../https/index.js";
import type { Finding, Path } from "./problem.js";
import { readNamedFile } from "./secrets.js";
import type { clientTlsSchema } from "./sections.js";

export interface ResolvedClientTls {
  /** PEM texts, in place of the files. */
  tls: TlsOptions;
  errors: Finding[];
  warnings: Finding[];
}

/** Reads the files which the section at `path` names, and checks what belongs together. */
export async function resolveClientTls(
  section: z.infer<typeof clientTlsSchema>,
  { directory, path }: { directory: string; path: Path },
): Promise<ResolvedClientTls> {
  const { caFile, certFile, keyFile } = section;
  const ca = await readNamedFile(directory, caFile, { path: [...path, "caFile"], secret: false });
  const cert = await readNamedFile(directory, certFile, {
    path: [...path, "certFile"],
    secret: false,
  });
  const key = await readNamedFile(directory, keyFile, { path: [...path, "keyFile"], secret: true });
  const files = [ca, cert, key];
  const unread = files.flatMap(({ errors }) => errors);
  const tls = {
    ...(ca.text === undefined ? {} : { ca: ca.text }),
    ...(cert.text === undefined ? {} : { cert: cert.text }),
    ...(key.text === undefined ? {} : { key: key.text }),
  };
  return {
    tls,
    errors: unread.length > 0 ? unread : certificateErrors(tls, (of) => [...path, `${of}File`]),
    warnings: [
      ...files.flatMap(({ warnings }) => warnings),
      ...certificateWarnings(tls, (of) => [...path, `${of}File`]),
    ],
  };
}

type PathOf = (of: keyof TlsOptions) => Path;

/** What is wrong with the texts, at the key that names the file. */
export function certificateErrors(tls: TlsOptions, pathOf: PathOf): Finding[] {
  return findingsOf(certificateProblem(tls), pathOf);
}

/** Certificates that are out of date by this machine's clock. */
export function certificateWarnings(tls: TlsOptions, pathOf: PathOf): Finding[] {
  return findingsOf(certificateOutOfDate(tls, Date.now()), pathOf);
}

function findingsOf(problem: CertificateProblem | undefined, pathOf: PathOf): Finding[] {
  return problem === undefined
    ? []
    : [{ path: pathOf(problem.of), at: "value", message: problem.message }];
}
