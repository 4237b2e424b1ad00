import type { PlanDocument } from "../protocol/index.js";
import { LINK_NAMES, type LinkName, type LinkSpeed } from "./scenario.js";

const BYTES_PER_MB = 1_000_000;
const BAR_WIDTH = 40;

/** The links of the moment, one a line. */
export function tellLinks(links: Readonly<Record<LinkName, LinkSpeed>>): string {
  const rows = LINK_NAMES.map((name) => {
    const { rttMs, bandwidthMbps } = links[name];
    return `    ${name.padEnd(16)} ${String(rttMs).padStart(4)} ms ${String(bandwidthMbps).padStart(6)} Mbps`;
  });
  return rows.join("\n");
}

/** A plan as a table: who runs what for how long, and what travels in between. */
export function tellPlan(plan: PlanDocument): string {
  const lines = [`  Revision ${plan.revision}: ${plan.predictedLatencyMs.toFixed(0)} ms predicted`];
  const row = (what: string, detail: string, ms: number): string => {
    const bar = "█".repeat(Math.max(1, Math.round((ms / plan.predictedLatencyMs) * BAR_WIDTH)));
    return `    ${what.padEnd(18)} ${detail.padEnd(16)} ${ms.toFixed(1).padStart(7)} ms  ${bar}`;
  };
  let at = plan.source;
  const hops = [...plan.hops];
  for (const { node, tier, firstLayer, lastLayer, computeMs } of plan.partitions) {
    const hop = node === at ? undefined : hops.shift();
    if (hop !== undefined)
      lines.push(row(`  ${at} → ${node}`, megabytes(hop.bytes), hop.transferMs));
    lines.push(row(`${node} (${tier})`, `layers ${firstLayer}–${lastLayer}`, computeMs));
    at = node;
  }
  for (const hop of hops) {
    lines.push(row(`  ${hop.from} → ${hop.to}`, `${megabytes(hop.bytes)} result`, hop.transferMs));
  }
  return lines.join("\n");
}

function megabytes(bytes: number): string {
  return `${(bytes / BYTES_PER_MB).toFixed(bytes < BYTES_PER_MB / 100 ? 3 : 2)} MB`;
}
