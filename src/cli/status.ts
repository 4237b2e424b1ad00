import { Command } from "commander";
import { printable } from "../core/index.js";
import { parseJson, type Status, statusSchema } from "../protocol/index.js";
import { askDaemon, refused } from "./ask-daemon.js";
import { addDaemonOptions, type DaemonFlags, type DaemonLogin, readLogin } from "./daemon-login.js";
import { describePlan } from "./plan-words.js";
import { progressCells } from "./progress-bar.js";
import { renderTable } from "./table.js";
import type { Terminal } from "./terminal.js";
import { unreachable } from "./unreachable.js";

const STATUS_PATH = "/api/v1/status";
const TIMEOUT_MS = 10_000;
const LOGIN_REFUSED = new Set([401, 403]);

export function statusCommand(terminal: Terminal): Command {
  const command = new Command("status").description(
    "Show nodes, links, plans and problems of a running daemon.",
  );
  return addDaemonOptions(command)
    .option("--json", "print one JSON document instead of tables")
    .addHelpText(
      "after",
      `
Examples:
  scissiond status
  scissiond status --url http://edge-1:8420 --json
  scissiond status --url https://edge-1:8420 --ca site-ca.pem --token-file reader.token`,
    )
    .action(async ({ json, ...flags }: DaemonFlags & { json?: true }) => {
      const status = await fetchStatus(await readLogin(terminal, flags), terminal.signal);
      terminal.out(json === true ? `${JSON.stringify(status, null, 2)}\n` : describeStatus(status));
    });
}

/**
 * Asks the daemon. Throws COMMAND_FAILED where it wants another login, DAEMON_UNREACHABLE where no daemon
 * of this kind answers.
 */
async function fetchStatus(login: DaemonLogin, signal: AbortSignal): Promise<Status> {
  const { url } = login;
  const question = { path: STATUS_PATH, timeoutMs: TIMEOUT_MS, signal };
  const reply = await askDaemon(login, question);
  if (LOGIN_REFUSED.has(reply.status)) throw refused(reply);
  if (reply.status !== 200) throw unreachable(url, new Error(`HTTP status ${reply.status}`));
  const status = parseJson(reply.text, statusSchema);
  if (!status.ok) throw unreachable(url, new Error(`this is no status: ${status.message}`));
  return status.value;
}

/** The status as tables. */
export function describeStatus(status: Status): string {
  const sections = [
    describeDaemon(status),
    section("NODES", describeNodes(status)),
    section("LINKS", describeLinks(status)),
    section("PIPELINES", describePipelines(status)),
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

function section(title: string, body: string): string {
  return body === "" ? `${title}\n(none)` : `${title}\n${body.trimEnd()}`;
}

function describeDaemon(status: Status): string {
  const { benchmark, mqtt } = status;
  const next =
    benchmark.nextRunAt === null ? "" : `, next ${new Date(benchmark.nextRunAt).toISOString()}`;
  return [
    `scissiond ${status.version} on ${status.node}, site ${status.site}: ${status.ready ? "ready" : "NOT READY"}, up ${duration(status.uptimeSeconds)}`,
    `broker ${mqtt.broker} ${mqtt.connected ? "connected" : "NOT CONNECTED"}; ${status.subscribers} subscribed; benchmark ${benchmark.running === null ? "idle" : `of ${printable(benchmark.running)} runs`}${next}`,
    ...(benchmark.progress ?? []).map(describeProgress),
    ...(benchmark.lastOutcome == null
      ? []
      : [`last benchmark: ${printable(benchmark.lastOutcome, 500)}`]),
    ...(benchmark.confirming === undefined
      ? []
      : [`confirming ${printable(benchmark.confirming, 500)}`]),
    ...status.problems.map((problem) => `problem: ${printable(problem, 1_000)}`),
  ].join("\n");
}

function describeProgress(progress: NonNullable<Status["benchmark"]["progress"]>[number]): string {
  const { node, model, done, total, what, secondsLeft } = progress;
  const share = total === 0 ? 0 : done / total;
  const left = secondsLeft === null ? "" : `, ${duration(secondsLeft)} left`;
  return `${progressCells(share)} ${printable(model.name)} on ${node}: ${printable(what)}${left}`;
}

function describeNodes({ nodes }: Status): string {
  if (nodes.length === 0) return "";
  const rows = nodes.map(({ name, tier, hardwareClass, online, emulatedSlowdown, loadFactor }) => [
    name,
    tier,
    hardwareClass,
    online ? "online" : "OFFLINE",
    loadFactor === undefined ? "?" : `× ${Number(loadFactor.toPrecision(3))}`,
    emulatedSlowdown === 1 ? "" : `times × ${emulatedSlowdown} (emulated)`,
  ]);
  const heads = ["node", "tier", "hardware class", "state", "load", ""];
  return renderTable(heads, rows, new Set(["load"]));
}

function describeLinks({ links }: Status): string {
  if (links.length === 0) return "";
  const unit = (value: number | null, name: string): string =>
    value === null ? "?" : `${Number(value.toPrecision(3))} ${name}`;
  const rows = links.map((link) => [
    `${link.from} → ${link.to}`,
    unit(link.rttMs, "ms"),
    unit(link.bandwidthMbps, "Mbps"),
    unit(link.lossPercent, "%"),
    duration(link.ageSeconds),
    link.stale ? "STALE" : "",
  ]);
  const right = new Set(["rtt", "bandwidth", "loss", "age"]);
  return renderTable(["link", "rtt", "bandwidth", "loss", "age", ""], rows, right);
}

function describePipelines({ pipelines }: Status): string {
  if (pipelines.length === 0) return "";
  const rows = pipelines.map(({ name, model, plan }) => [
    name,
    printable(model),
    plan === null ? "-" : String(plan.revision),
    plan === null ? "no plan yet" : describePlan(plan),
  ]);
  const decisions = pipelines.flatMap(({ name, lastDecision }) =>
    lastDecision === null ? [] : [`${name}: ${printable(lastDecision.summary, 1_000)}`],
  );
  const table = renderTable(["pipeline", "model", "revision", "plan"], rows, new Set(["revision"]));
  return decisions.length === 0 ? table : `${table}\nLAST DECISIONS\n${decisions.join("\n")}`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}
