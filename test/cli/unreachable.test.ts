import { once } from "node:events";
import { createServer as createPlain, type Server } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { statusCommand } from "../../src/cli/status.js";
import { watchCommand } from "../../src/cli/watch.js";
import { isAppError } from "../../src/core/index.js";
import { type Certificates, makeCertificates } from "../support/certificates.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

const certificates = makeCertificates({ server: "localhost" });
const expired = makeCertificates({ server: "localhost" }, { days: 0 });
const tlsOf = (from: Certificates) => ({
  cert: from.text("server.pem"),
  key: from.text("server.key"),
});
const ca = certificates.path("ca.pem");
const plain = createPlain((_, response) => response.end());
const secure = createSecure(tlsOf(certificates), (_, response) => response.end());
const outdated = createSecure(tlsOf(expired), (_, response) => response.end());
/** Refuses in its first words whoever shows no certificate. */
const strict = createSecure({
  ...tlsOf(certificates),
  ca: certificates.text("ca.pem"),
  maxVersion: "TLSv1.2",
  requestCert: true,
  rejectUnauthorized: true,
});
const servers = [plain, secure, outdated, strict];

beforeAll(async () => {
  for (const server of servers) await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections();
  certificates.remove();
  expired.remove();
});

const hostOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

describe.each([
  ["status", statusCommand],
  ["watch", watchCommand],
])("%s of a daemon that cannot be asked", (_, commandFor) => {
  it.each([
    ["of an unknown authority", () => [`https://${hostOf(secure)}`], /certificate.*with --ca$/],
    ["without TLS, asked with it", () => [`https://${hostOf(plain)}`], /use http:\/\/ in --url$/],
    ["with TLS, asked without", () => [`http://${hostOf(secure)}`], /use https:\/\/ in --url$/],
    [
      "of yesterday's certificate",
      () => [`https://${hostOf(outdated)}`, "--ca", expired.path("ca.pem")],
      /expired.*clock of this machine$/,
    ],
    [
      "that refuses TLS without a certificate",
      () => [`https://${hostOf(strict)}`, "--ca", ca],
      /TLS: .*handshake failure\); is it running, and is --url right\?$/,
    ],
    ["that is not there", () => ["http://127.0.0.1:1"], /is --url right\?$/],
  ])("says what to do next where it is one %s", async (_what, words, message) => {
    const run = runCommandLine(commandFor(recordTerminal()), "--url", ...words());
    const error: unknown = await run.catch((failure: unknown) => failure);
    expect(isAppError(error, "DAEMON_UNREACHABLE")).toBe(true);
    expect((error as Error).message).toMatch(message);
  });
});
