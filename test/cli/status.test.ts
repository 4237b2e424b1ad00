import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { statusCommand } from "../../src/cli/status.js";
import { isAppError } from "../../src/core/index.js";
import type { Publisher } from "../../src/publisher/index.js";
import { aDecision, aPlan, aStatus } from "../support/plans.js";
import { fixedApi, runPublisher } from "../support/publisher.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

const publishers: Publisher[] = [];
const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(publishers.splice(0).map((publisher) => publisher.stop()));
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

const STATUS = aStatus({
  ready: false,
  problems: ["broker mqtt://far is not connected"],
  nodes: [
    {
      name: "cam-1",
      tier: "device",
      hardwareClass: "pi-5",
      online: true,
      emulatedSlowdown: 8,
      loadFactor: 1.8349,
    },
    { name: "gpu-1", tier: "cloud", hardwareClass: "a100", online: false, emulatedSlowdown: 1 },
  ],
  links: [
    {
      from: "cam-1",
      to: "edge-1",
      rttMs: 4.25,
      bandwidthMbps: null,
      lossPercent: 0,
      ageSeconds: 300,
      stale: true,
    },
  ],
  pipelines: [
    {
      name: "vision-cam-1",
      model: "net",
      source: "cam-1",
      plan: aPlan(),
      lastDecision: aDecision(),
    },
    { name: "vision-cam-2", model: "net", source: "cam-2", plan: null, lastDecision: null },
  ],
});

async function serve(status = STATUS): Promise<string> {
  const publisher = await runPublisher({}, { api: fixedApi({ status: () => status }) });
  publishers.push(publisher);
  return publisher.httpUrl;
}

async function answer(status: number, body: string): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("scissiond status", () => {
  it("shows nodes, links, plans and problems", async () => {
    const terminal = recordTerminal();
    await runCommandLine(statusCommand(terminal), "--url", await serve());
    const { output } = terminal;
    expect(output).toContain("NOT READY");
    expect(output).toContain("problem: broker mqtt://far is not connected");
    expect(output).toMatch(/cam-1 +device +pi-5 +online +× 1.83 +times × 8 \(emulated\)/);
    expect(output).toMatch(/gpu-1 +cloud +a100 +OFFLINE +\?/);
    expect(output).toMatch(/cam-1 → edge-1 +4.25 ms +\? +0 % +5 min +STALE/);
    expect(output).toMatch(/vision-cam-1 +net +1 +layers 0–9 on cam-1, 12.50 ms/);
    expect(output).toMatch(/vision-cam-2 +net +- +no plan yet/);
    expect(output).toContain("vision-cam-1: the gain is below the minimum");
  });

  it("prints the status as one JSON document with --json", async () => {
    const terminal = recordTerminal();
    await runCommandLine(statusCommand(terminal), "--url", await serve(), "--json");
    expect(JSON.parse(terminal.output)).toEqual(STATUS);
    expect(terminal.talk).toBe("");
  });

  it("shows a daemon that has nothing yet", async () => {
    const terminal = recordTerminal();
    await runCommandLine(statusCommand(terminal), "--url", await serve(aStatus()));
    expect(terminal.output.match(/\(none\)/g)).toHaveLength(3);
  });

  it.each([
    ["nothing", () => Promise.resolve("http://127.0.0.1:1")],
    ["an error", () => answer(500, "")],
    ["no JSON", () => answer(200, "<html>")],
    ["another program's JSON", () => answer(200, '{"version": "1"}')],
  ])("says that no daemon answers where %s does", async (_what, url) => {
    const run = runCommandLine(statusCommand(recordTerminal()), "--url", await url());
    const error: unknown = await run.catch((failure: unknown) => failure);
    expect(isAppError(error, "DAEMON_UNREACHABLE")).toBe(true);
  });

  it("refuses what is no URL", async () => {
    const run = runCommandLine(statusCommand(recordTerminal()), "--url", "edge-1");
    const error: unknown = await run.catch((failure: unknown) => failure);
    expect(isAppError(error, "USAGE")).toBe(true);
  });
});
