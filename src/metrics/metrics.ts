import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

const BENCHMARK_BUCKETS_SECONDS = [1, 3, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
const WRITE_BUCKETS_SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const BITS_PER_BYTE = 8;

/**
 * What the daemon counts. Callers speak in the units of the program (milliseconds, Mbit/s); names and
 * base units of Prometheus are made here. Labels are names of pipelines and nodes from the
 * configuration, or words of closed sets; never anything a stranger can choose.
 */
export interface Metrics {
  readonly contentType: string;
  /** The text of `/metrics`. */
  render(): Promise<string>;
  planPublished(plan: { pipeline: string; revision: number; predictedLatencyMs: number }): void;
  pipelineRemoved(pipeline: string): void;
  decision(decision: { pipeline: string; verdict: string }): void;
  benchmarkFinished(run: {
    node: string;
    result: "ok" | "failed" | "lost" | "given_up";
    durationMs: number;
  }): void;
  /** Null where the node has no profile. */
  profileAge(node: string, ageMs: number | null): void;
  /** How many times as long the node takes as when it is idle. */
  nodeLoad(node: string, factor: number): void;
  /** Null where the value is unknown or stale; it then disappears instead of staying at its last value. */
  link(link: {
    from: string;
    to: string;
    rttMs: number | null;
    bandwidthMbps: number | null;
  }): void;
  nodesOnline(count: number): void;
  subscribers(count: number): void;
  publisherEvent(event: PublisherEventCount): void;
  /** Messages from outside that were dropped since the start, by cause. */
  messagesRejected(source: "mqtt", totals: Readonly<Record<string, number>>): void;
  mqttConnected(connected: boolean): void;
  storeWritten(write: { result: "ok" | "failed"; durationMs: number; at: number }): void;
  configLoaded(load: { ok: boolean; at: number }): void;
}

/** The publisher's events, as far as they are counted. */
export type PublisherEventCount =
  | { kind: "frame-sent"; type: string }
  | { kind: "answer"; result: string }
  | { kind: "report"; result: string }
  | { kind: "rollout"; result: string }
  | { kind: "connection-refused"; cause: string }
  | { kind: "request-refused"; status: number }
  | { kind: "connection-closed"; cause: string };

/** A registry of its own for each daemon, so that two can run in one process. */
export function createMetrics(build: {
  version: string;
  nodeVersion: string;
  onnxruntimeVersion: string;
}): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  instruments(registry)
    .gauge("scission_build_info", "Constant 1; the versions are labels.", [
      "version",
      "node_version",
      "onnxruntime_version",
    ])
    .labels(build.version, build.nodeVersion, build.onnxruntimeVersion)
    .set(1);
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    ...planMetrics(registry),
    ...contextMetrics(registry),
    ...streamMetrics(registry),
    ...upkeepMetrics(registry),
  };
}

type PlanMetrics = Pick<Metrics, "planPublished" | "pipelineRemoved" | "decision">;

function planMetrics(registry: Registry): PlanMetrics {
  const make = instruments(registry);
  const revision = make.gauge("scission_plan_revision", "Revision in force.", ["pipeline"]);
  const latency = make.gauge(
    "scission_plan_predicted_latency_seconds",
    "Latency that the plan in force was published with.",
    ["pipeline"],
  );
  const decisions = make.counter("scission_decisions_total", "Decisions by verdict.", [
    "pipeline",
    "verdict",
  ]);
  return {
    planPublished(plan) {
      revision.labels(plan.pipeline).set(plan.revision);
      latency.labels(plan.pipeline).set(plan.predictedLatencyMs / 1_000);
    },
    pipelineRemoved(pipeline) {
      revision.remove(pipeline);
      latency.remove(pipeline);
    },
    decision: ({ pipeline, verdict }) => decisions.labels(pipeline, verdict).inc(),
  };
}

type ContextMetrics = Pick<
  Metrics,
  "benchmarkFinished" | "profileAge" | "nodeLoad" | "link" | "nodesOnline" | "mqttConnected"
>;

function contextMetrics(registry: Registry): ContextMetrics {
  const make = instruments(registry);
  const durations = new Histogram({
    name: "scission_benchmark_duration_seconds",
    help: "Time that benchmarks took; result: ok, failed (or not answered in time), lost (their node went), given_up (not wanted any more, or no time left).",
    labelNames: ["node", "result"],
    buckets: BENCHMARK_BUCKETS_SECONDS,
    registers: [registry],
  });
  const age = make.gauge("scission_profile_age_seconds", "Age of the oldest profile.", ["node"]);
  const load = make.gauge(
    "scission_node_load_factor",
    "How many times as long a node takes as when it is idle.",
    ["node"],
  );
  const rtt = make.gauge("scission_link_rtt_seconds", "Round trip, smoothed.", ["from", "to"]);
  const bandwidth = make.gauge("scission_link_bandwidth_bytes_per_second", "Bandwidth, smoothed.", [
    "from",
    "to",
  ]);
  const nodes = make.gauge("scission_nodes_online", "Nodes that are online.");
  const mqtt = make.gauge("scission_mqtt_connected", "1 while connected.");
  return {
    benchmarkFinished: ({ node, result, durationMs }) =>
      durations.labels(node, result).observe(durationMs / 1_000),
    profileAge: (node, ageMs) => setOrRemove(age, [node], ageMs === null ? null : ageMs / 1_000),
    nodeLoad: (node, factor) => load.labels(node).set(factor),
    link({ from, to, rttMs, bandwidthMbps }) {
      setOrRemove(rtt, [from, to], rttMs === null ? null : rttMs / 1_000);
      const bytesPerSecond =
        bandwidthMbps === null ? null : (bandwidthMbps * 1_000_000) / BITS_PER_BYTE;
      setOrRemove(bandwidth, [from, to], bytesPerSecond);
    },
    nodesOnline: (count) => nodes.set(count),
    mqttConnected: (connected) => mqtt.set(connected ? 1 : 0),
  };
}

function streamMetrics(
  registry: Registry,
): Pick<Metrics, "subscribers" | "publisherEvent" | "messagesRejected"> {
  const make = instruments(registry);
  const clients = make.gauge("scission_stream_subscribers", "Connected subscribers.");
  const frames = make.counter("scission_stream_frames_total", "Frames sent.", ["type"]);
  const answers = make.counter("scission_stream_answers_total", "Answers of runtimes.", ["result"]);
  const reports = make.counter("scission_stream_reports_total", "Measurements of runtimes.", [
    "result",
  ]);
  const rollouts = make.counter("scission_rollouts_total", "Rollouts that ended.", ["result"]);
  const refused = make.counter("scission_stream_refused_total", "Connections refused.", ["cause"]);
  const requests = make.counter(
    "scission_http_refused_total",
    "Plain HTTP requests answered with an error.",
    ["status"],
  );
  const closed = make.counter("scission_stream_closed_total", "Connections closed.", ["cause"]);
  const rejected = make.counter(
    "scission_messages_rejected_total",
    "Messages from outside that were dropped.",
    ["source", "cause"],
  );
  return {
    subscribers: (count) => clients.set(count),
    publisherEvent(event) {
      switch (event.kind) {
        case "frame-sent":
          frames.labels(event.type).inc();
          break;
        case "answer":
          answers.labels(event.result).inc();
          break;
        case "report":
          reports.labels(event.result).inc();
          break;
        case "rollout":
          rollouts.labels(event.result).inc();
          break;
        case "request-refused":
          requests.labels(String(event.status)).inc();
          break;
        case "connection-refused":
          refused.labels(event.cause).inc();
          break;
        case "connection-closed":
          closed.labels(event.cause).inc();
          break;
      }
    },
    messagesRejected(source, totals) {
      rejected.reset();
      for (const [cause, total] of Object.entries(totals)) {
        rejected.labels(source, cause).inc(total);
      }
    },
  };
}

function upkeepMetrics(registry: Registry): Pick<Metrics, "storeWritten" | "configLoaded"> {
  const make = instruments(registry);
  const writes = new Histogram({
    name: "scission_store_write_duration_seconds",
    help: "Time that writes of the state file took, fsync included.",
    labelNames: ["result"],
    buckets: WRITE_BUCKETS_SECONDS,
    registers: [registry],
  });
  const lastWrite = make.gauge(
    "scission_store_last_write_timestamp_seconds",
    "Unix time of the last write of the state file that succeeded.",
  );
  const reloadOk = make.gauge(
    "scission_config_last_reload_successful",
    "1 where the newest configuration file is in force, 0 where it had errors.",
  );
  const reloadAt = make.gauge(
    "scission_config_last_reload_success_timestamp_seconds",
    "Unix time at which the configuration in force was loaded.",
  );
  return {
    storeWritten({ result, durationMs, at }) {
      writes.labels(result).observe(durationMs / 1_000);
      if (result === "ok") lastWrite.set(at / 1_000);
    },
    configLoaded({ ok, at }) {
      reloadOk.set(ok ? 1 : 0);
      if (ok) reloadAt.set(at / 1_000);
    },
  };
}

/** Short forms for the two kinds of which there are many. */
function instruments(registry: Registry): {
  gauge(name: string, help: string, labelNames?: readonly string[]): Gauge;
  counter(name: string, help: string, labelNames: readonly string[]): Counter;
} {
  return {
    gauge: (name, help, labelNames = []) =>
      new Gauge({ name, help, labelNames, registers: [registry] }),
    counter: (name, help, labelNames) =>
      new Counter({ name, help, labelNames, registers: [registry] }),
  };
}

function setOrRemove(target: Gauge, labels: readonly string[], value: number | null): void {
  if (value === null) target.remove(...labels);
  else target.labels(...labels).set(value);
}
