import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reconnectPauseMsMax } from "../../src/telemetry/connection.js";
import { createPacketMeter } from "../../src/telemetry/packet-meter.js";
import { observePresence } from "../../src/telemetry/presence.js";
import {
  bandwidthMbpsOf,
  createBurstMeter,
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  nextBurstBytes,
} from "../../src/telemetry/probe-protocol.js";
import { KnownReports } from "../../src/telemetry/known-reports.js";
import { Rejections } from "../../src/telemetry/rejections.js";
import { LatestPerKey } from "../../src/telemetry/rate.js";
import {
  formatTopic,
  parseTopic,
  type Topic,
  topicFilter,
  TopicReader,
} from "../../src/telemetry/topics.js";
import { silentLogger } from "../../src/core/index.js";
import type { LinkReport } from "../../src/protocol/index.js";
import { ManualClock } from "../support/manual-clock.js";

const name = fc.stringMatching(/^[a-z0-9-]{1,63}$/);
const topic: fc.Arbitrary<Topic> = fc.oneof(
  fc.record({ kind: fc.constant("state" as const), node: name }),
  fc
    .record({ kind: fc.constant("link" as const), from: name, to: name })
    .filter(({ from, to }) => from !== to),
  fc.record({
    kind: fc.constant("profile" as const),
    node: name,
    modelSha256: fc.stringMatching(/^[0-9a-f]{64}$/),
  }),
  fc.record({ kind: fc.constant("command" as const), node: name, name }),
  fc.record({ kind: fc.constant("response" as const), node: name, name }),
  fc.record({ kind: fc.constant("partitions" as const), pipeline: name }),
);

describe("topics", () => {
  it("parses what it builds", () => {
    fc.assert(
      fc.property(name, topic, (site, value) => {
        expect(parseTopic(site, formatTopic(site, value))).toEqual(value);
      }),
    );
  });

  it.each([
    "",
    "scission/v1/lab",
    "scission/v1/other/nodes/a/state",
    "scission/v2/lab/nodes/a/state",
    "scission/v1/lab/nodes/A/state",
    "scission/v1/lab/nodes//state",
    "scission/v1/lab/nodes/__proto__/state",
    "scission/v1/lab/nodes/a/state/more",
    "scission/v1/lab/nodes/a/profiles/abc",
    "scission/v1/lab/nodes/a/commands/../x",
    "scission/v1/lab/links/a",
    "scission/v1/lab/links/a/a",
    "scission/v1/lab/links/a/b/c",
    `scission/v1/lab/links/a/${"b".repeat(64)}`,
    "scission/v1/lab/partitions/a/b",
  ])("knows no topic %j", (text) => {
    expect(parseTopic("lab", text)).toBeUndefined();
  });

  it("reads a topic that comes again as it was read first, also among more than are remembered", () => {
    const reader = new TopicReader("lab");
    const texts = Array.from({ length: 5_000 }, (_, index) => `scission/v1/lab/links/a/b-${index}`);
    const wrong = ["scission/v1/lab/links/a/a", "scission/v1/other/links/a/b-1"];
    for (const text of [...texts, ...wrong, ...texts.toReversed(), ...wrong]) {
      expect(reader.read(text)).toEqual(parseTopic("lab", text));
    }
  });

  it("has a filter of commands for one node only", () => {
    expect(topicFilter("lab", { commandsOf: "cam-1" })).toBe(
      "scission/v1/lab/nodes/cam-1/commands/+",
    );
  });
});

describe("known reports", () => {
  const path = { from: "cam-1", to: "edge-1" };
  const report = { rttMs: 5, bandwidthMbps: 100, at: 1_900_000_000_000 };

  it("knows a report that comes again, whatever came between, and no other for it", () => {
    const known = new KnownReports(10);
    const heard = (again: LinkReport) => known.observe(path, again, 0);
    expect(heard(report)).toBe("new");
    expect(heard({ ...report, rttMs: 6 })).toBe("new");
    expect(heard({ ...report, at: report.at + 1 })).toBe("new");
    expect(heard({ ...report })).toBe("duplicate");
    expect(known.observe({ from: "cam-2", to: "edge-1" }, report, 0)).toBe("new");
    expect(heard({ rttMs: 5, bandwidthMbps: 100 })).toBe("new");
    expect(heard({ rttMs: 5, bandwidthMbps: 100 })).toBe("new");
  });

  it("remembers the last 64 of a link", () => {
    const known = new KnownReports(10);
    const times = Array.from({ length: 65 }, (_, index) => report.at + index);
    for (const at of times) expect(known.observe(path, { ...report, at }, 0)).toBe("new");
    expect(known.observe(path, { ...report, at: report.at + 1 }, 0)).toBe("duplicate");
    expect(known.observe(path, report, 0)).toBe("new");
  });
});

describe("presence", () => {
  const online = (bootId: string) => ({ bootId, status: "online" as const });
  const offline = (bootId: string) => ({ bootId, status: "offline" as const });

  it.each([
    { known: undefined, message: online("a"), verdict: "taken", presence: online("a") },
    { known: undefined, message: offline("a"), verdict: "taken", presence: offline("a") },
    { known: online("a"), message: offline("a"), verdict: "taken", presence: offline("a") },
    { known: offline("a"), message: online("a"), verdict: "taken", presence: online("a") },
    { known: online("b"), message: offline("a"), verdict: "old-will", presence: online("b") },
    { known: online("a"), message: online("b"), verdict: "restarted", presence: online("b") },
    { known: offline("a"), message: online("b"), verdict: "restarted", presence: online("b") },
  ])("$known then $message: $verdict", ({ known, message, verdict, presence }) => {
    expect(observePresence(known, message)).toEqual({ presence, verdict });
  });
});

describe("reconnect pause", () => {
  const options = { minMs: 500, maxMs: 30_000, takenOverMs: 300_000 };

  it("doubles up to its limit, and is long after a take-over", () => {
    const pauses = [0, 1, 2, 6, 7, 10_000].map((n) => reconnectPauseMsMax(options, n, false));
    expect(pauses).toEqual([500, 1_000, 2_000, 30_000, 30_000, 30_000]);
    expect(reconnectPauseMsMax(options, 0, true)).toBe(300_000);
  });
});

describe("rate", () => {
  it("passes a burst, then holds the newest value until a token is there", async () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    const options = { rate: { perSecond: 2, burst: 2 }, keysMax: 2 };
    const latest = new LatestPerKey<string>(options, clock, (value) => seen.push(value));
    const verdicts = ["a1", "a2", "a3", "a4", "a5"].map((value) => latest.offer("a", value));
    expect(verdicts).toEqual(["passed", "passed", "held", "replaced", "replaced"]);
    expect(latest.offer("b", "b1")).toBe("passed");
    expect(latest.offer("c", "c1")).toBe("full");
    clock.advance(500);
    await Promise.resolve();
    await Promise.resolve();
    expect(seen).toEqual(["a1", "a2", "b1", "a5"]);
    latest.stop();
  });
});

describe("packet meter", () => {
  const packet = (bodyBytes: number): Buffer => {
    const length: number[] = [];
    for (let rest = bodyBytes; length.length === 0 || rest > 0; rest = Math.floor(rest / 128)) {
      length.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
    }
    return Buffer.concat([Buffer.from([0x30, ...length]), Buffer.alloc(bodyBytes, 0xff)]);
  };

  it("passes short packets however they are cut, and finds a long one by its header", () => {
    const sizes = fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 64 }), (bodies, step) => {
        const meter = createPacketMeter(300);
        const stream = Buffer.concat(bodies.map(packet));
        for (let at = 0; at < stream.length; at += step) {
          expect(meter(stream.subarray(at, at + step))).toBe(true);
        }
        expect(meter(packet(301).subarray(0, 3))).toBe(false);
      }),
    );
  });

  it("refuses a length of more than four bytes", () => {
    expect(createPacketMeter(1e9)(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]))).toBe(false);
  });
});

describe("probe protocol", () => {
  it("decodes what it encodes, and nothing else", () => {
    const request = { kind: "upload", burstBytes: 4_000_000_000 } as const;
    expect(decodeRequest(encodeRequest(request))).toEqual(request);
    const reply = {
      kind: "upload",
      status: "ok",
      countedBytes: 7,
      countedMs: 1.5,
      wholeMs: 2,
    } as const;
    expect(decodeReply(encodeReply(reply))).toEqual(reply);
    expect(decodeRequest(encodeRequest({ kind: "echo", burstBytes: 5 }))).toBeUndefined();
    expect(decodeRequest(encodeRequest({ kind: "download", burstBytes: 0 }))).toBeUndefined();
    expect(decodeRequest(Buffer.from("GET / HTTP/1"))).toBeUndefined();
    expect(decodeReply(Buffer.alloc(20))).toBeUndefined();
  });

  it("counts only the second half of a burst", () => {
    const meter = createBurstMeter(1_000);
    meter.take(100, 0);
    meter.take(400, 90);
    meter.take(250, 100);
    meter.take(250, 110);
    expect(meter.timing()).toEqual({ countedBytes: 500, countedMs: 20, wholeMs: 110 });
    expect(bandwidthMbpsOf(meter.timing())).toBeCloseTo(0.2);
    expect(bandwidthMbpsOf({ countedBytes: 5, countedMs: 0, wholeMs: 0 })).toBeUndefined();
  });

  it("grows a burst by bounded steps until it lasts long enough or is at its limit", () => {
    const options = { burstTargetMs: 150, burstBytesMax: 1_000_000 };
    expect(nextBurstBytes(16_384, 0, options)).toBe(16_384 * 16);
    expect(nextBurstBytes(16_384, 140, options)).toBe(16_384 * 2);
    expect(nextBurstBytes(900_000, 10, options)).toBe(1_000_000);
    expect(nextBurstBytes(16_384, 150, options)).toBeUndefined();
    expect(nextBurstBytes(1_000_000, 1, options)).toBeUndefined();
  });
});

describe("rejections", () => {
  it("counts every one, logs the first of each cause alone, and little of what it quotes", () => {
    const logged: unknown[] = [];
    const log = { ...silentLogger, warn: (fields: unknown) => void logged.push(fields) };
    const rejections = new Rejections(log);
    for (let index = 0; index < 1_000; index += 1) {
      rejections.add("malformed", `scission/${"x".repeat(60_000)}`, "no JSON");
      rejections.add("future", `topic-${index}`, `measured ${index} ms from now`);
    }
    expect(rejections.counts()).toMatchObject({ malformed: 1_000, future: 1_000, rate: 0 });
    expect(logged).toHaveLength(2);
    expect(JSON.stringify(logged).length).toBeLessThan(1_000);
  });
});
