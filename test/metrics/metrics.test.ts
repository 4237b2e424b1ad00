import { describe, expect, it } from "vitest";
import { createMetrics } from "../../src/metrics/index.js";

const build = { version: "0.1.0", nodeVersion: "v20", onnxruntimeVersion: "1.30.0" };

describe("metrics", () => {
  it("speaks base units", async () => {
    const metrics = createMetrics(build);
    metrics.planPublished({ pipeline: "camera", revision: 7, predictedLatencyMs: 250 });
    metrics.link({ from: "cam-1", to: "edge-1", rttMs: 20, bandwidthMbps: 80 });
    metrics.nodeLoad("cam-1", 1.5);
    metrics.benchmarkFinished({ node: "cam-1", result: "ok", durationMs: 1_500 });
    metrics.storeWritten({ result: "ok", durationMs: 2, at: 5_000 });
    const text = await metrics.render();
    const lines = text.split("\n");
    expect(lines).toContain('scission_plan_revision{pipeline="camera"} 7');
    expect(lines).toContain('scission_plan_predicted_latency_seconds{pipeline="camera"} 0.25');
    expect(lines).toContain('scission_link_rtt_seconds{from="cam-1",to="edge-1"} 0.02');
    expect(lines).toContain(
      'scission_link_bandwidth_bytes_per_second{from="cam-1",to="edge-1"} 10000000',
    );
    expect(lines).toContain(
      'scission_benchmark_duration_seconds_sum{node="cam-1",result="ok"} 1.5',
    );
    expect(lines).toContain('scission_node_load_factor{node="cam-1"} 1.5');
    expect(lines).toContain("scission_store_last_write_timestamp_seconds 5");
    expect(text).toContain('scission_build_info{version="0.1.0"');
    expect(text).toContain("nodejs_eventloop_lag_seconds");
  });

  it("drops what is unknown or gone instead of showing its last value", async () => {
    const metrics = createMetrics(build);
    const link = { from: "cam-1", to: "edge-1" };
    metrics.link({ ...link, rttMs: 20, bandwidthMbps: 80 });
    metrics.link({ ...link, rttMs: 21, bandwidthMbps: null });
    metrics.planPublished({ pipeline: "camera", revision: 1, predictedLatencyMs: 1 });
    metrics.pipelineRemoved("camera");
    metrics.profileAge("cam-1", 1_000);
    metrics.profileAge("cam-1", null);
    const text = await metrics.render();
    expect(text).toContain("scission_link_rtt_seconds{");
    expect(text).not.toContain("scission_link_bandwidth_bytes_per_second{");
    expect(text).not.toContain("scission_plan_revision{");
    expect(text).not.toContain("scission_profile_age_seconds{");
  });

  it("counts what happens, and keeps two daemons in one process apart", async () => {
    const [first, second] = [createMetrics(build), createMetrics(build)];
    first.decision({ pipeline: "camera", verdict: "kept" });
    first.decision({ pipeline: "camera", verdict: "kept" });
    first.publisherEvent({ kind: "frame-sent", type: "update" });
    first.publisherEvent({ kind: "answer", result: "reject" });
    first.publisherEvent({ kind: "connection-refused", cause: "origin" });
    first.publisherEvent({ kind: "connection-closed", cause: "too-slow" });
    first.messagesRejected("mqtt", { malformed: 2, rate: 0 });
    const lines = (await first.render()).split("\n");
    for (const line of [
      'scission_decisions_total{pipeline="camera",verdict="kept"} 2',
      'scission_stream_frames_total{type="update"} 1',
      'scission_stream_answers_total{result="reject"} 1',
      'scission_stream_refused_total{cause="origin"} 1',
      'scission_stream_closed_total{cause="too-slow"} 1',
      'scission_messages_rejected_total{source="mqtt",cause="malformed"} 2',
    ]) {
      expect(lines).toContain(line);
    }
    expect(await second.render()).not.toContain('verdict="kept"');
  });

  it("says whether the newest configuration is in force, and since when", async () => {
    const metrics = createMetrics(build);
    metrics.configLoaded({ ok: true, at: 10_000 });
    metrics.configLoaded({ ok: false, at: 20_000 });
    const lines = (await metrics.render()).split("\n");
    expect(lines).toContain("scission_config_last_reload_successful 0");
    expect(lines).toContain("scission_config_last_reload_success_timestamp_seconds 10");
  });
});
