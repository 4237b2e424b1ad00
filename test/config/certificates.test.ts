import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatProblem, loadAgentConfig, loadDaemonConfig } from "../../src/config/index.js";
import { makeCertificates } from "../support/certificates.js";

const pem = makeCertificates({ server: "localhost", agent: "agent" });
const file = (name: string): string => pem.path(name);
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-config-"));
});
afterAll(async () => {
  pem.remove();
  await rm(directory, { recursive: true });
});

/** What is wrong, one line each, without the names of directories. */
async function errorsOf(load: typeof loadDaemonConfig | typeof loadAgentConfig, yaml: string) {
  const path = join(directory, "config.yaml");
  await writeFile(path, yaml);
  const loaded = await load(path, {});
  return loaded.ok ? [] : loaded.errors.map((error) => formatProblem(error).replace(path, "file"));
}

describe("certificates that the configuration names", () => {
  const listen = (cert: string, key: string, more = ""): string =>
    `listen:\n  tls:\n    certFile: ${file(cert)}\n    keyFile: ${file(key)}\n${more}`;
  const agent = (section: string): string =>
    `node: {tier: device}\ndaemonUrl: https://edge-1:8420\nmqtt:\n  url: mqtts://edge-1\n${section}`;

  it("are read before anything starts: each that is no good is named with its line", async () => {
    expect(await errorsOf(loadDaemonConfig, listen("server.key", "server.key"))).toEqual([
      "file:3:15 listen.tls.certFile: is a private key and no certificate",
    ]);
    expect(await errorsOf(loadDaemonConfig, listen("server.pem", "agent.key"))).toEqual([
      "file:4:14 listen.tls.keyFile: is not the key of the first certificate",
    ]);
    const clients = `    clientCaFile: ${file("ca.key")}\n`;
    expect(await errorsOf(loadDaemonConfig, listen("server.pem", "server.key", clients))).toEqual([
      "file:5:19 listen.tls.clientCaFile: is a private key and no certificate",
    ]);
    const broker = `  tls:\n    caFile: ${file("agent.key")}\n`;
    expect(await errorsOf(loadAgentConfig, agent(broker))).toEqual([
      "file:6:13 mqtt.tls.caFile: is a private key and no certificate",
    ]);
    const half = `daemonTls:\n  certFile: ${file("agent.pem")}\n`;
    expect(await errorsOf(loadAgentConfig, agent(half))).toEqual([
      "file:6:13 daemonTls.certFile: needs the key that belongs to it",
    ]);
  });

  it("are warned of where they are out of date", async () => {
    const old = makeCertificates({ server: "localhost" }, { days: -1 });
    const path = join(directory, "old.yaml");
    const [certFile, keyFile] = [old.path("server.pem"), old.path("server.key")];
    await writeFile(path, `listen:\n  tls:\n    certFile: ${certFile}\n    keyFile: ${keyFile}\n`);
    const loaded = await loadDaemonConfig(path, {});
    old.remove();
    const warnings = loaded.ok ? loaded.warnings.map(formatProblem) : [];
    expect(warnings).toContainEqual(
      expect.stringMatching(/:3:15 listen\.tls\.certFile: was valid until /),
    );
  });

  it("are taken where they are good", async () => {
    const clients = `    clientCaFile: ${file("ca.pem")}\n`;
    expect(await errorsOf(loadDaemonConfig, listen("server.pem", "server.key", clients))).toEqual(
      [],
    );
    const own = `caFile: ${file("ca.pem")}\n  certFile: ${file("agent.pem")}\n  keyFile: ${file("agent.key")}\n`;
    expect(await errorsOf(loadAgentConfig, agent(`daemonTls:\n  ${own}`))).toEqual([]);
  });
});
