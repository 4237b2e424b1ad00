import { Command } from "commander";
import { type ConnectionState, subscribe, type Update } from "../client/index.js";
import { printable } from "../core/index.js";
import type { PlanDocument } from "../protocol/index.js";
import { askDaemon } from "./ask-daemon.js";
import { addDaemonOptions, type DaemonFlags, type DaemonLogin, readLogin } from "./daemon-login.js";
import { describePlan } from "./plan-words.js";
import type { Terminal } from "./terminal.js";
import { unreachable } from "./unreachable.js";

const TIMEOUT_MS = 10_000;

export function watchCommand(terminal: Terminal): Command {
  const command = new Command("watch").description(
    "Follow the plans of a running daemon: one line for each update.",
  );
  return addDaemonOptions(command)
    .option("--json", "print one JSON document per line")
    .addHelpText(
      "after",
      `
It begins with the plans in force, and ends with Ctrl-C. A lost connection is made again.

Examples:
  scissiond watch
  scissiond watch --url http://edge-1:8420 --json`,
    )
    .action(async ({ json, ...flags }: DaemonFlags & { json?: true }) => {
      const login = await readLogin(terminal, flags);
      await watch(terminal, login, json === true ? jsonLines : textLines);
    });
}

async function watch(
  terminal: Terminal,
  login: DaemonLogin,
  linesOf: (update: Update) => string[],
): Promise<void> {
  const { url, token, tls } = login;
  const stop = new AbortController();
  let hasConnected = false;
  let firstFailure: string | undefined;
  const onConnection = (state: ConnectionState): void => {
    if (state.kind === "connected") {
      hasConnected = true;
    } else if (hasConnected) {
      terminal.err(`connection lost (${printable(state.reason)}); connecting again\n`);
    } else {
      firstFailure = state.reason;
      stop.abort();
    }
  };
  const signal = AbortSignal.any([terminal.signal, stop.signal]);
  const bearer = token === undefined ? {} : { token };
  for await (const update of subscribe(url, { signal, onConnection, tls, ...bearer })) {
    for (const line of linesOf(update)) terminal.out(`${line}\n`);
  }
  if (firstFailure === undefined) return;
  // A request that fails alike tells more of why than a socket does.
  const plain = { ...login, url: url.replace(/^ws/, "http") };
  await askDaemon(plain, { path: "/healthz", timeoutMs: TIMEOUT_MS, signal: terminal.signal });
  throw unreachable(url, new Error(firstFailure));
}

function jsonLines(update: Update): string[] {
  const { kind, epoch } = update;
  switch (kind) {
    case "snapshot":
      return [JSON.stringify({ kind, epoch, plans: [...update.plans.values()] })];
    case "update":
      return [JSON.stringify({ kind, epoch, plan: update.plan })];
    case "removed":
      return [JSON.stringify({ kind, epoch, pipeline: update.pipeline })];
  }
}

function textLines(update: Update): string[] {
  switch (update.kind) {
    case "snapshot":
      return update.plans.size === 0 ? ["no plans yet"] : [...update.plans.values()].map(planLine);
    case "update":
      return [planLine(update.plan)];
    case "removed":
      return [`${update.pipeline}  removed`];
  }
}

function planLine(plan: PlanDocument): string {
  const time = new Date(plan.publishedAt).toISOString();
  return `${time}  ${plan.pipeline}  revision ${plan.revision}  ${describePlan(plan)}  (${printable(plan.reason, 1_000)})`;
}
