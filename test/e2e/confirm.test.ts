import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import type { Daemon } from "../../src/daemon/index.js";
import type { Decision, MeasureCommand, PlanDocument, Profile } from "../../src/protocol/index.js";
import { freePort } from "../support/daemon-process.js";
import { mosquittoPath, startMosquitto } from "../support/mosquitto.js";
import { type PacedAgent, startPacedAgent } from "../support/paced-agent.js";
import { until } from "../support/poll.js";
import {
  CHAIN_WIDTH,
  chainModel,
  linkReporter,
  planOf,
  runDaemon,
  SITE,
  writeSite,
} from "../support/site.js";

const mosquitto = mosquittoPath();
const GOOD_MBPS = 100;
const POOR_MBPS = 0.01;
const TIMEOUT_MS = 20_000;

/** What an agent answers to the command `measure`. */
type Measure = (command: MeasureCommand, profile: Profile) => Promise<unknown>;

interface Surroundings {
  /** Before the daemon starts. */
  prepare?: (directory: string) => Promise<void>;
  /** Absent: the daemon's own broker. */
  brokerUrl?: string;
}

/** Takes what the blocks sum to, times `factor`. */
const honest =
  (factor = 1): Measure =>
  ({ ranges }, profile) =>
    Promise.resolve({
      kind: "measured",
      measuredAt: Date.now(),
      environment: profile.environment,
      ranges: ranges.map((range) => ({ ...range, ...timesOf(blocksMs(profile, range) * factor) })),
    });

function timesOf(medianMs: number) {
  return { medianMs, p95Ms: medianMs, spreadMs: 0, repeats: 5, stable: true };
}

function blocksMs(
  { blocks }: Profile,
  { firstLayer, lastLayer }: { firstLayer: number; lastLayer: number },
): number {
  return blocks
    .filter((block) => block.firstLayer >= firstLayer && block.lastLayer <= lastLayer)
    .reduce((sum, block) => sum + block.medianMs, 0);
}

describe("confirming a plan before it is published", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  /** The first layer stays on cam-1; gpu-1 is by far the fastest for the rest, edge-1 the next. */
  async function start(
    measures: { device?: Measure | null; cloud?: Measure | null },
    confirm: object = {},
    { prepare, brokerUrl }: Surroundings = {},
  ) {
    const files = await writeSite({
      confirm,
      ...(brokerUrl === undefined
        ? {}
        : { mqtt: { url: brokerUrl, reconnect: { minMs: 50, maxMs: 200 } } }),
      pipelines: [
        {
          name: "vision",
          model: "chain",
          devices: ["cam-1"],
          constraints: { minBlocksOnDevice: 1 },
        },
      ],
    });
    cleanup.push(() => files.remove());
    await prepare?.(files.directory);
    const daemon = await runDaemon(files.configPath);
    cleanup.push(() => daemon.stop());
    let edgeProfile: Profile | undefined;
    const asked: { node: string; layers: string }[] = [];
    const yields: { node: string; command: unknown }[] = [];
    const agent = async (
      node: string,
      given: { tier: "device" | "cloud"; factor: number; measure: Measure | null },
    ): Promise<PacedAgent> => {
      const { tier, factor, measure } = given;
      const own: Profile[] = [];
      const started = await startPacedAgent({
        url: brokerUrl ?? daemon.broker,
        site: SITE,
        node,
        tier,
        factor,
        reference: () => until(() => edgeProfile, { timeoutMs: TIMEOUT_MS }),
        onProfile: (profile) => {
          if (profile.node.name === "edge-1") edgeProfile = profile;
          if (profile.node.name === node) own.push(profile);
        },
        commands: {
          yield: (command) => Promise.resolve(void yields.push({ node, command })),
          ...(measure === null
            ? {}
            : {
                measure: async (value) => {
                  const command = value as MeasureCommand;
                  for (const { firstLayer, lastLayer } of command.ranges) {
                    asked.push({ node, layers: `${firstLayer}–${lastLayer}` });
                  }
                  return measure(command, await until(() => own.at(-1)));
                },
              }),
        },
      });
      cleanup.push(() => started.stop());
      return started;
    };
    const { device: deviceMeasure = honest(), cloud: cloudMeasure = honest() } = measures;
    const device = await agent("cam-1", { tier: "device", factor: 10, measure: deviceMeasure });
    const cloud = await agent("gpu-1", { tier: "cloud", factor: 0.01, measure: cloudMeasure });
    const links = linkReporter(device);
    cleanup.push(() => {
      links.stop();
      return Promise.resolve();
    });
    const setMbps = (mbps: number): void =>
      links.set({ uplink: mbps, direct: mbps, backbone: mbps });
    setMbps(POOR_MBPS);
    const native = await awaitPlan(daemon, "a plan on the device alone", (plan) =>
      isOn(plan, "cam-1:0–5"),
    );
    await until(() => daemon.status().profiles.length === 3, { timeoutMs: TIMEOUT_MS });
    const improve = (): void => setMbps(GOOD_MBPS);
    return { daemon, files, cloud, native, asked, yields, improve, setMbps };
  }

  it("measures the partitions where they would run, and publishes what was measured", async () => {
    const { daemon, asked, improve, native } = await start({ cloud: honest(3) });
    // The whole model on one node was measured by its benchmark.
    expect(native.partitions[0]).toMatchObject({ confirmed: true });
    improve();
    const plan = await awaitPlan(daemon, "a split plan", (one) => isOn(one, "cam-1:0–0 gpu-1:1–5"));
    expect(asked).toContainEqual({ node: "cam-1", layers: "0–0" });
    expect(asked).toContainEqual({ node: "gpu-1", layers: "1–5" });
    const [, onCloud] = plan.partitions;
    expect(onCloud?.confirmed).toBe(true);
    expect(onCloud!.computeMs / onCloud!.estimateMs!).toBeCloseTo(3, 6);
    expect(plan.reason).toMatch(/confirmed/);
    const decisions = await decisionsOf(daemon);
    const published = decisions.find(({ revision }) => revision === plan.revision);
    expect(published?.confirmation).toMatchObject({ confirmed: true });
    // The first layer is measured on cam-1 as well.
    expect(plan.partitions[0]?.confirmed).toBe(true);
    const waiting = decisions.filter(({ verdict }) => verdict === "confirming");
    expect(waiting.at(-1)?.summary).toMatch(/confirming layers .* revision \d+ stays/);
  });

  it("tells agents of the files beside the model, as a benchmark does", async () => {
    const weights = Buffer.alloc(CHAIN_WIDTH * CHAIN_WIDTH * 4);
    const told: MeasureCommand["sidecars"][] = [];
    const cloud: Measure = (command, profile) => {
      told.push(command.sidecars);
      return honest()(command, profile);
    };
    const { improve } = await start(
      { cloud },
      {},
      {
        prepare: async (directory) => {
          await writeFile(join(directory, "weights.bin"), weights);
          await writeFile(join(directory, "chain.onnx"), chainModel(0, "weights.bin"));
        },
      },
    );
    improve();
    const sidecars = await until(() => told[0], { timeoutMs: TIMEOUT_MS, what: "a measurement" });
    const sha256 = createHash("sha256").update(weights).digest("hex");
    expect(sidecars).toEqual([{ location: "weights.bin", bytes: weights.byteLength, sha256 }]);
  });

  it("takes nothing that was measured for a profile which was renewed meanwhile", async () => {
    let renew: (profile: Profile) => Promise<unknown> = () => Promise.resolve();
    let calls = 0;
    const cloud: Measure = async (command, profile) => {
      calls += 1;
      if (calls === 1) await renew(profile);
      return honest()(command, profile);
    };
    const { daemon, cloud: agent, improve, asked } = await start({ cloud });
    renew = (profile) => {
      const blocks = profile.blocks.map((block) => ({ ...block, medianMs: block.medianMs * 3 }));
      const measuredAt = Date.now();
      const renewed = { ...profile, measuredAt, wholeMs: profile.wholeMs * 3, blocks };
      agent.telemetry.publishProfile(renewed);
      const isTaken = (): boolean =>
        daemon.status().profiles.some((one) => one.measuredAt === measuredAt);
      return until(isTaken, { timeoutMs: TIMEOUT_MS, what: "the renewed profile" });
    };
    improve();
    const plan = await awaitPlan(daemon, "a split plan", (one) => isOn(one, "cam-1:0–0 gpu-1:1–5"));
    expect(asked.filter(({ layers }) => layers === "1–5").length).toBeGreaterThan(1);
    const [, onCloud] = plan.partitions;
    expect(onCloud).toMatchObject({ confirmed: true });
    expect(onCloud!.computeMs).toBeCloseTo(onCloud!.estimateMs!, 9);
  });

  it("corrects a wrong estimate before anything of it is published", async () => {
    const { daemon, improve } = await start({ cloud: honest(1e6) });
    const seen: PlanDocument[] = [];
    improve();
    const plan = await awaitPlan(daemon, "a plan on the edge", (one) => {
      if (seen.at(-1) !== one) seen.push(one);
      return isOn(one, "cam-1:0–0 edge-1:1–5");
    });
    // The daemon's own node measured it in a child process.
    expect(plan.partitions[1]).toMatchObject({ node: "edge-1", confirmed: true });
    expect(seen.flatMap(({ partitions }) => partitions.map(({ node }) => node))).not.toContain(
      "gpu-1",
    );
  });

  it("keeps what was measured over a restart", async () => {
    const { daemon, files, improve, asked } = await start({});
    improve();
    const plan = await awaitPlan(daemon, "a split plan", (one) => isOn(one, "cam-1:0–0 gpu-1:1–5"));
    expect(asked.length).toBeGreaterThan(0);
    await daemon.stop();
    const again = await runDaemon(files.configPath);
    cleanup.push(() => again.stop());
    expect(planOf(again)).toEqual(plan);
  });

  it.skipIf(mosquitto === undefined)(
    "measures nothing twice over a restart, with Mosquitto as the broker",
    async () => {
      const broker = await startMosquitto(mosquitto!, await freePort());
      cleanup.push(() => broker.stop());
      const { daemon, files, improve, setMbps, asked } = await start(
        {},
        {},
        { brokerUrl: broker.url },
      );
      improve();
      const split = "cam-1:0–0 gpu-1:1–5";
      const plan = await awaitPlan(daemon, "a split plan", (one) => isOn(one, split));
      expect(plan.partitions.every(({ confirmed }) => confirmed === true)).toBe(true);
      await daemon.stop();
      const askedBefore = asked.length;
      const again = await runDaemon(files.configPath);
      cleanup.push(() => again.stop());
      setMbps(POOR_MBPS);
      await awaitPlan(again, "a plan on the device alone", (one) => isOn(one, "cam-1:0–5"));
      improve();
      const later = await awaitPlan(again, "the split plan anew", (one) => isOn(one, split));
      expect(later.revision).toBeGreaterThan(plan.revision);
      expect(later.partitions.map(({ confirmed }) => confirmed)).toEqual([true, true]);
      expect(later.partitions.map(({ computeMs }) => computeMs)).toEqual(
        plan.partitions.map(({ computeMs }) => computeMs),
      );
      // Neither for this plan nor for any other that was looked at on the way.
      const layers = (from: number): string[] =>
        asked.slice(from).map(({ node, layers: range }) => `${node}:${range}`);
      expect(layers(askedBefore)).not.toContain("cam-1:0–0");
      expect(layers(askedBefore)).not.toContain("gpu-1:1–5");
      expect(layers(0)).toContain("gpu-1:1–5");
    },
    60_000,
  );

  it.each([
    {
      name: "answers garbage",
      cloud: () => Promise.resolve({ kind: "measured", ranges: "many" }),
      why: /the answer of gpu-1 makes no sense/,
    },
    {
      name: "measures something else",
      cloud: async (command: MeasureCommand, profile: Profile) =>
        honest()({ ...command, ranges: [{ firstLayer: 0, lastLayer: 1 }] }, profile),
      why: /other layers were measured than asked for/,
    },
    {
      name: "cannot run the partition",
      cloud: () => Promise.resolve({ kind: "failed", reason: "out of memory" }),
      why: /out of memory/,
    },
    {
      name: "never answers",
      cloud: () => new Promise<never>(() => undefined),
      why: /not measured within 0\.5 s|not answered within/,
    },
  ])("serves the last good plan where a node $name", async ({ cloud, why }) => {
    const { daemon, improve, native } = await start({ cloud }, { timeoutMs: 500 });
    improve();
    const kept = await until(
      async () =>
        (await decisionsOf(daemon)).find(
          ({ verdict, summary }) => verdict === "kept" && /could not be confirmed/.test(summary),
        ),
      { timeoutMs: TIMEOUT_MS, what: "a record of what was not confirmed" },
    );
    expect(kept.summary).toMatch(why);
    expect(kept.confirmation).toMatchObject({ confirmed: false });
    expect(planOf(daemon)?.revision).toBe(native.revision);
  });

  it("publishes unconfirmed, and says so, where a node knows no such command", async () => {
    const { daemon, improve } = await start({ device: null, cloud: null });
    improve();
    const plan = await awaitPlan(daemon, "a split plan", (one) => isOn(one, "cam-1:0–0 gpu-1:1–5"));
    expect(plan.partitions[0]?.confirmed).toBe(false);
    expect(plan.partitions[0]).not.toHaveProperty("estimateMs");
    expect(plan.reason).toMatch(/not confirmed \(.*knows no command measure/);
  });

  it("plans without a node that dies while it measures", async () => {
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const cloud: Measure = () => {
      begin();
      return new Promise<never>(() => undefined);
    };
    const started = await start({ cloud });
    started.improve();
    await begun;
    await started.cloud.stop();
    const plan = await awaitPlan(started.daemon, "a plan on the edge", (one) =>
      isOn(one, "cam-1:0–0 edge-1:1–5"),
    );
    expect(plan.partitions.every(({ confirmed }) => confirmed === true)).toBe(true);
  });

  it("tells an agent that measures of the live work on its node", async () => {
    const { daemon, improve, asked, yields } = await start({
      cloud: () => new Promise<never>(() => undefined),
    });
    const stop = new AbortController();
    const runtime = subscribe(`http://127.0.0.1:${daemon.port}`, {
      role: "runtime",
      node: "gpu-1",
      signal: stop.signal,
    });
    const following = (async () => {
      for await (const update of runtime) expect(update.kind).toBeDefined();
    })();
    cleanup.push(async () => {
      stop.abort();
      await following;
    });
    const stages = [{ node: "gpu-1", computeMs: 1 }];
    const report = (): boolean =>
      runtime.report({ pipeline: "vision", revision: 1, stages, transfers: [], busy: false });
    // Before it measures, as well as while it does.
    await until(() => daemon.status().subscribers === 1 && report(), { timeoutMs: TIMEOUT_MS });
    expect(yields).toEqual([]);
    improve();
    await until(() => asked.find(({ node }) => node === "gpu-1"), { timeoutMs: TIMEOUT_MS });
    await until(() => report() && yields[0], { timeoutMs: TIMEOUT_MS });
    expect(yields[0]).toMatchObject({ node: "gpu-1", command: { overload: false } });
  });

  it("measures nothing where it is turned off", async () => {
    const { daemon, improve, asked } = await start({}, { enabled: false });
    improve();
    await awaitPlan(daemon, "a split plan", (one) => isOn(one, "cam-1:0–0 gpu-1:1–5"));
    expect(asked).toEqual([]);
  });
});

function isOn(plan: PlanDocument, layers: string): boolean {
  const own = plan.partitions.map((part) => `${part.node}:${part.firstLayer}–${part.lastLayer}`);
  return own.join(" ") === layers;
}

function awaitPlan(
  daemon: Daemon,
  what: string,
  is: (plan: PlanDocument) => boolean,
): Promise<PlanDocument> {
  return until(
    () => {
      const plan = planOf(daemon);
      return plan !== null && is(plan) ? plan : null;
    },
    { timeoutMs: TIMEOUT_MS, what },
  );
}

async function decisionsOf(daemon: Daemon): Promise<Decision[]> {
  const answer = await fetch(`http://127.0.0.1:${daemon.port}/api/v1/decisions`);
  return ((await answer.json()) as { decisions: Decision[] }).decisions;
}
