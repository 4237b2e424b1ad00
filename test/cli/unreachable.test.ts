import { once } from "node:events";
import { createServer as createPlain, type Server } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { statusCommand } from "../../src/cli/status.js";
import { isAppError } from "../../src/core/index.js";
import { makeCertificates } from "../support/certificates.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

const certificates = makeCertificates({ server: "localhost" });
const tls = { cert: certificates.text("server.pem"), key: certificates.text("server.key") };
const plain = createPlain((_, response) => response.end());
const secure = createSecure(tls, (_, response) => response.end());

beforeAll(async () => {
  for (const server of [plain, secure]) await once(server.listen(0, "127.0.0.1"), "listening");
});
afterAll(() => {
  for (const server of [plain, secure]) server.close().closeAllConnections();
  certificates.remove();
});

const hostOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;

describe("a daemon that cannot be asked", () => {
  it.each([
    ["of an unknown authority", () => `https://${hostOf(secure)}`, /certificate.*with --ca$/],
    ["without TLS, asked with it", () => `https://${hostOf(plain)}`, /use http:\/\/ in --url$/],
    ["with TLS, asked without", () => `http://${hostOf(secure)}`, /use https:\/\/ in --url$/],
    ["that is not there", () => "http://127.0.0.1:1", /is --url right\?$/],
  ])("says what to do next where it is one %s", async (_, url, message) => {
    const run = runCommandLine(statusCommand(recordTerminal()), "--url", url());
    const error: unknown = await run.catch((failure: unknown) => failure);
    expect(isAppError(error, "DAEMON_UNREACHABLE")).toBe(true);
    expect((error as Error).message).toMatch(message);
  });
});
