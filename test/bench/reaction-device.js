// The device of the reaction benchmark: answers as an agent does, from the edge's own profile.
import { connectAsync } from "mqtt";
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { connectTelemetry, mqttOptionsSchema } from "../../dist/telemetry/index.js";

export const OTHER_PROFILES = 300;
const OTHER_BLOCKS = 100;
/** It takes so many times as long as the edge. */
const SLOWDOWN = 10;

/** A device whose one link the benchmark sets. */
export async function startReactionDevice({ site, brokerUrl, until }) {
  let edgeProfile;
  const benchmark = async () => {
    await until(() => edgeProfile !== undefined, "the daemon's own profile");
    const profile = slowerProfile(edgeProfile);
    telemetry.publishProfile(profile);
    return { measuredAt: profile.measuredAt, wholeMs: profile.wholeMs };
  };
  const telemetry = await connectTelemetry(
    mqttOptionsSchema.parse({ url: brokerUrl }),
    { site, state: nodeState(), role: "agent" },
    {
      log: silentLogger,
      clock: systemClock,
      random: seededRandom(1),
      handlers: {
        commands: new Map([
          ["benchmark", benchmark],
          ["measure", async ({ ranges }) => measured(slowerProfile(edgeProfile), ranges)],
        ]),
        onProfile: (profile) => {
          if (profile.node.name === "edge-1") edgeProfile = profile;
        },
      },
    },
  );
  return {
    report(bandwidthMbps) {
      telemetry.publishLink("cam-1", "edge-1", { rttMs: 1, bandwidthMbps });
    },
    async publishOtherProfiles() {
      await until(() => edgeProfile !== undefined, "the daemon's own profile");
      telemetry.publishLink("edge-1", "cam-1", { rttMs: 1, bandwidthMbps: 1_000 });
      await publishOthers(edgeProfile, { site, brokerUrl });
    },
    stop: () => telemetry.stop(),
  };
}

function nodeState() {
  return {
    node: "cam-1",
    status: "online",
    bootId: "bench-boot",
    tier: "device",
    hardwareClass: "bench-device",
    version: "bench",
    logicalCores: 1,
    memoryBytes: 1,
    emulatedSlowdown: 1,
    models: [],
  };
}

function profileOf(profile, name, tier) {
  return { ...profile, node: { name, tier, hardwareClass: `class-of-${name}` } };
}

function slowerProfile(profile) {
  return {
    ...profileOf(profile, "cam-1", "device"),
    wholeMs: profile.wholeMs * SLOWDOWN,
    blocks: profile.blocks.map((block) => ({ ...block, medianMs: block.medianMs * SLOWDOWN })),
  };
}

/** As long as the blocks of the profile say, so that the better plan stays the better one. */
function measured({ blocks, environment }, ranges) {
  return {
    kind: "measured",
    measuredAt: Date.now(),
    environment,
    ranges: ranges.map(({ firstLayer, lastLayer }) => {
      const within = blocks.filter(
        (block) => block.lastLayer >= firstLayer && block.lastLayer <= lastLayer,
      );
      const medianMs = within.reduce((sum, block) => sum + block.medianMs, 0);
      const told = { medianMs, p95Ms: medianMs, spreadMs: 0, repeats: 5, stable: true };
      return { firstLayer, lastLayer, ...told };
    }),
  };
}

/** Profiles of nodes that are not there, which the state directory keeps all the same. */
async function publishOthers(edgeProfile, { site, brokerUrl }) {
  const blocks = Array.from({ length: OTHER_BLOCKS }, (_, index) => ({
    ...edgeProfile.blocks[0],
    index,
    firstLayer: index,
    lastLayer: index,
  }));
  const client = await connectAsync(brokerUrl);
  for (let node = 0; node < OTHER_PROFILES; node += 1) {
    const profile = { ...profileOf(edgeProfile, `other-${node}`, "cloud"), blocks };
    const topic = `scission/v1/${site}/nodes/other-${node}/profiles/${profile.model.sha256}`;
    await client.publishAsync(topic, JSON.stringify(profile), { qos: 1 });
  }
  await client.endAsync();
}
