import type { Running } from "./running.js";

/** Brings the gauges that nobody updates on change to the present, just before they are read. */
export function refreshGauges({ metrics, context, loads, parts, clock, desired }: Running): void {
  metrics.nodesOnline(context.nodes().filter(({ status }) => status === "online").length);
  metrics.subscribers(parts.publisher?.subscribers() ?? 0);
  metrics.mqttConnected(parts.telemetry?.connected ?? false);
  if (parts.telemetry !== undefined) metrics.messagesRejected("mqtt", parts.telemetry.counters());

  const staleMs = desired.config.thresholds.staleSeconds * 1_000;
  for (const link of context.links()) {
    const isFresh = link.seenAtMs !== null && clock.monotonicMs() - link.seenAtMs <= staleMs;
    const rate = link.secondsPerMegabit === null || link.isDown ? null : 1 / link.secondsPerMegabit;
    metrics.link({
      from: link.from,
      to: link.to,
      rttMs: isFresh ? link.rttMs : null,
      bandwidthMbps: isFresh ? rate : null,
    });
  }
  for (const { node } of context.nodes()) {
    const ages = context
      .profiles()
      .filter((profile) => profile.node.name === node)
      .map((profile) => clock.nowMs() - profile.measuredAt);
    metrics.nodeLoad(node, loads.factorOf(node, clock.monotonicMs()));
    metrics.profileAge(node, ages.length === 0 ? null : Math.max(0, ...ages));
  }
}
