import { generateKeyPairSync } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { certificateProblem, type TlsOptions } from "../../src/https/index.js";
import { makeCertificates } from "../support/certificates.js";

const ours = makeCertificates({ client: "client" });
const foreign = makeCertificates({ client: "client" });
afterAll(() => {
  ours.remove();
  foreign.remove();
});
const ca = ours.text("ca.pem");
const own = { cert: ours.text("client.pem"), key: ours.text("client.key") };

function encrypted(type: "pkcs1" | "pkcs8"): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const lock = { cipher: "aes-256-cbc", passphrase: "secret" };
  return privateKey.export({ type, format: "pem", ...lock }).toString();
}

describe("certificates that are given as texts", () => {
  const torn = ca.slice(0, ca.length / 2);
  const noDer = ca.replace(/^M/m, "A");

  it.each<[what: string, tls: TlsOptions, problem: [of: keyof TlsOptions, message: RegExp]]>([
    ["no text", { ca: "" }, ["ca", /is no PEM/]],
    ["a path", { ca: ours.path("ca.pem") }, ["ca", /is no PEM/]],
    ["half a certificate", { ca: torn }, ["ca", /is no PEM/]],
    ["half a second one", { ca: `${ca}${torn}` }, ["ca", /is no PEM/]],
    ["what is in PEM no certificate", { ca: noDer }, ["ca", /cannot be read/]],
    ["a key for a certificate", { ...own, cert: own.key }, ["cert", /is a private key/]],
    ["a certificate for a key", { ...own, key: own.cert }, ["key", /is a certificate/]],
    ["no key at all", { ...own, key: "secret" }, ["key", /is no PEM (?!.*secret)/]],
    ["half a key", { ...own, key: own.key.slice(0, 100) }, ["key", /is no PEM/]],
    ["an encrypted key", { ...own, key: encrypted("pkcs8") }, ["key", /is encrypted; .*openssl/]],
    ["one in the older form", { ...own, key: encrypted("pkcs1") }, ["key", /is encrypted/]],
    ["another's key", { ...own, key: foreign.text("client.key") }, ["key", /is not the key/]],
    ["a certificate alone", { cert: own.cert }, ["cert", /needs the key/]],
    ["a key alone", { key: own.key }, ["key", /needs the certificate/]],
  ])("are refused where one is %s", (_, tls, [of, message]) => {
    expect(certificateProblem(tls)).toEqual({
      of,
      message: expect.stringMatching(message) as string,
    });
  });

  it("are taken with notes and further certificates around them", () => {
    const chain = `${own.cert}${ca}`;
    for (const tls of [{}, { ca: `# ours\n${ca}\n${chain}` }, { ca, ...own, cert: chain }]) {
      expect(certificateProblem(tls)).toBeUndefined();
    }
  });
});
