import type { z } from "zod";
import type { Finding, Path } from "./problem.js";
import { readNamedFile } from "./secrets.js";
import type { clientTlsSchema } from "./sections.js";

export interface ResolvedClientTls {
  /** PEM texts, in place of the files. */
  tls: { ca?: string; cert?: string; key?: string };
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
  const isHalf = (certFile === undefined) !== (keyFile === undefined);
  const half: Finding = { path, at: "key", message: "certFile and keyFile belong together" };
  return {
    tls: {
      ...(ca.text === undefined ? {} : { ca: ca.text }),
      ...(cert.text === undefined ? {} : { cert: cert.text }),
      ...(key.text === undefined ? {} : { key: key.text }),
    },
    errors: [...(isHalf ? [half] : []), ...files.flatMap(({ errors }) => errors)],
    warnings: files.flatMap(({ warnings }) => warnings),
  };
}
