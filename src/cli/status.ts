import { Command } from "commander";
import { AppError, printable } from "../core/index.js";
import { parseJson, type Status, statusSchema } from "../protocol/index.js";
import { DEFAULT_URL, unreachable } from "./daemon-address.js";
import { describePlan } from "./plan-words.js";
import { progressCells } from "./progress-bar.js";
import { renderTable } from "./table.js";
import type { Terminal } from "./terminal.js";
import { bearerHeaders, readToken, TOKEN_FILE_OPTION } from "./token.js";

const STATUS_PATH = "/api/v1/status";
const TIMEOUT_MS = 10_000;
const BODY_BYTES_MAX = 67_108_864;

export function statusCommand(terminal: Terminal): Command {
  return new Command("status")
    .description("Show nodes, links, plans and problems of a running daemon.")
    .option("--url <url>", "address of the daemon", DEFAULT_URL)
    .option(...TOKEN_FILE_OPTION)
    .option("--json", "print one JSON document instead of tables")
    .addHelpText(
      "after",
      `
Examples:
  scissiond status
  scissiond status --url http://edge-1:8420 --json`,
    )
    .action(async ({ url, tokenFile, json }: { url: string; tokenFile?: string; json?: true }) => {
      const token = await readToken(terminal, tokenFile);
      const status = await fetchStatus(url, token, terminal.signal);
      terminal.out(json === true ? `${JSON.stringify(status, null, 2)}\n` : describeStatus(status));
    });
}

/** Asks the daemon. Throws USAGE for no URL, DAEMON_UNREACHABLE where no daemon of this kind answers. */
async function fetchStatus(
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Status> {
  if (!URL.canParse(url)) throw new AppError("USAGE", `${url} is no URL; use http://HOST:PORT`);
  let text: string;
  try {
    const response = await fetch(new URL(STATUS_PATH, url), {
      headers: bearerHeaders(token),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    text = await boundedText(response);
  } catch (error) {
    throw unreachable(url, error);
  }
  const status = parseJson(text, statusSchema);
  if (!status.ok) throw unreachable(url, new Error(`this is no status: ${status.message}`));
  return status.value;
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) throw new Error(`it sent more than ${BODY_BYTES_MAX} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
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
