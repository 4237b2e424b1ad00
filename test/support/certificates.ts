import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Certificates of one authority, as files `<name>.pem` and `<name>.key` in a directory of their own. */
export interface Certificates {
  path(file: string): string;
  text(file: string): string;
  remove(): void;
}

/** An authority (`ca.pem`), and what it signed: `names` are files, by the common name in each. */
export function makeCertificates(
  names: Readonly<Record<string, string>>,
  { days = 2 }: { days?: number } = {},
): Certificates {
  const directory = mkdtempSync(join(tmpdir(), "scissiond-tls-"));
  const openssl = (...words: string[]): void => {
    execFileSync("openssl", words, { cwd: directory, stdio: "ignore" });
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = ["-subj", "/CN=test-ca", "-keyout", "ca.key", "-out", "ca.pem"];
  openssl("req", "-x509", "-days", "2", ...ec, ...ca);
  writeFileSync(join(directory, "san"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  for (const [name, commonName] of Object.entries(names)) {
    const asked = ["-subj", `/CN=${commonName}`, "-keyout", `${name}.key`, "-out", `${name}.csr`];
    openssl("req", ...ec, ...asked);
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", String(days)];
    const where = commonName === "localhost" ? ["-extfile", "san"] : [];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signed, ...where, "-out", `${name}.pem`);
  }
  const path = (file: string): string => join(directory, file);
  return {
    path,
    text: (file) => readFileSync(path(file), "utf8"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
