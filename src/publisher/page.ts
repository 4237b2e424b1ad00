import { html } from "hono/html";
import type { Status } from "../protocol/index.js";

type Html = ReturnType<typeof html>;
type Cell = string | Html;

const REFRESH_SECONDS = 5;
/** Less than this is not worth a word. */
const LOAD_TOLD_MIN = 1.1;
/** The page runs no script and loads nothing; names from models and nodes are escaped by `html`. */
export const PAGE_SECURITY_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The status as a plain page that reloads itself. */
export function statusPage(status: Status): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>scissiond ${status.node}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; margin: 0 0 1.5rem; }
td span { white-space: nowrap; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
</style>
</head>
<body>
<h1>scissiond on ${status.node}</h1>
<p>${status.ready ? "Ready" : "Not ready"}, version ${status.version}, site ${status.site}, ${status.subscribers} subscribers.</p>
${status.problems.length === 0 ? "" : html`<ul>${status.problems.map((problem) => html`<li>${problem}</li>`)}</ul>`}
${progressList(status)}
${table("Pipelines", ["pipeline", "revision", "plan", "predicted", "last decision"], status.pipelines.map(pipelineRow))}
${table("Nodes", ["node", "tier", "hardware class", "state"], status.nodes.map(nodeRow))}
${table("Links", ["link", "round trip", "bandwidth", "age"], status.links.map(linkRow))}
</body>
</html>`;
}

function progressList({ benchmark }: Status): Html | string {
  const progress = benchmark.progress ?? [];
  if (progress.length === 0) return "";
  return html`<h2>Benchmarks</h2>
<ul>${progress.map(
    ({ node, model, done, total, what, secondsLeft }) =>
      html`<li>${model.name} on ${node} <progress value="${done}" max="${total}"></progress> ${what}${
        secondsLeft === null ? "" : `, ${Math.ceil(secondsLeft)} s left`
      }</li>`,
  )}</ul>`;
}

function table(title: string, headings: readonly string[], rows: readonly Cell[][]): Html {
  return html`<h2>${title}</h2>
<table>
<thead><tr>${headings.map((heading) => html`<th scope="col">${heading}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table>`;
}

function pipelineRow({ name, plan, lastDecision }: Status["pipelines"][number]): Cell[] {
  const summary = lastDecision?.summary ?? "";
  if (plan === null) return [name, "", "none yet", "", summary];
  // Lines break between partitions, not within one.
  const stages = plan.partitions.map(
    ({ node, firstLayer, lastLayer }, index) =>
      html`${index === 0 ? "" : " → "}<span>${node}: layers ${firstLayer}–${lastLayer}</span>`,
  );
  const latency = `${plan.predictedLatencyMs.toFixed(1)} ms`;
  return [name, String(plan.revision), html`${stages}`, latency, summary];
}

function nodeRow(node: Status["nodes"][number]): string[] {
  const emulated = node.emulatedSlowdown === 1 ? "" : `, slowed down ${node.emulatedSlowdown}×`;
  const factor = node.loadFactor ?? 1;
  const loaded = factor < LOAD_TOLD_MIN ? "" : `, load makes it ${factor.toFixed(1)}× slower`;
  return [
    node.name,
    node.tier,
    node.hardwareClass,
    (node.online ? "online" : "offline") + emulated + loaded,
  ];
}

function linkRow(link: Status["links"][number]): string[] {
  return [
    `${link.from} → ${link.to}`,
    link.rttMs === null ? "unknown" : `${link.rttMs.toFixed(1)} ms`,
    link.bandwidthMbps === null ? "unknown" : `${link.bandwidthMbps.toFixed(1)} Mbit/s`,
    `${Math.round(link.ageSeconds)} s${link.stale ? ", stale" : ""}`,
  ];
}
