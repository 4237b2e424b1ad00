import {
  connectTelemetry,
  createBurstGate,
  PassiveLinks,
  startBroker,
  startLinkProber,
  startProbeServer,
  type Telemetry,
} from "../telemetry/index.js";
import { notEqual } from "../benchmark/index.js";
import { Presence } from "./presence.js";
import { takeLink } from "./take-link.js";
import { type Running, takeProfile, wake } from "./running.js";

const FAREWELL_HOLD_MS = 300;
/** Agents wait up to 30 s between attempts to reach a broker that was away for long. */
const RETURN_GRACE_MS = 45_000;

/** Starts the broker where none is configured, the MQTT client, and this node's own link probes. */
export async function startHearing(running: Running): Promise<Telemetry> {
  const { parts, teardown, clock, random } = running;
  const { config } = running.desired;
  const log = running.log.child({ component: "telemetry" });
  let mqtt = config.mqtt.client;
  if (config.mqtt.broker !== undefined) {
    const broker = await startBroker(config.mqtt.broker, { log: running.log });
    teardown.defer("broker", () => broker.stop());
    mqtt = { ...mqtt, url: broker.url };
  }
  const presence = watchPresence(running);
  const passive = new PassiveLinks(clock);
  const telemetry = await connectTelemetry(
    mqtt,
    { site: config.site, state: running.self },
    {
      log,
      clock,
      random,
      handlers: {
        onNodeState: (state) => {
          if (state.node !== running.self.node) presence.hear(state);
        },
        hasHeardOf: (node) => running.context.node(node) !== undefined,
        onLink: (event) => {
          passive.hear(event);
          takeLink(running, event);
        },
        onProfile: (profile) => {
          if (profile.node.name === running.self.node) return;
          if (profile.equality.ok) void takeProfile(running, profile);
          else log.error({ problem: notEqual(profile) }, "profile refused");
        },
        onProgress: (node, progress) => running.progress.set(node, progress),
        onConnection: (connected) => {
          running.metrics.mqttConnected(connected);
          presence.connection(connected);
        },
      },
    },
  );
  teardown.defer("telemetry", () => telemetry.stop());
  parts.telemetry = telemetry;
  for (const pipeline of running.store.state.pipelines) {
    telemetry.publishPlan(pipeline.name, pipeline.plan);
  }
  await startProbing(running, telemetry, passive);
  return telemetry;
}

function watchPresence(running: Running): Presence {
  const { context, clock, teardown } = running;
  const stop = new AbortController();
  teardown.defer("presence", () => stop.abort());
  return new Presence(
    { farewellHoldMs: FAREWELL_HOLD_MS, returnGraceMs: RETURN_GRACE_MS },
    {
      clock,
      nodes: () => context.nodes().filter(({ node }) => node !== running.self.node),
      apply: (state) => {
        context.recordNode(state);
        if (state.status === "offline") running.parts.confirmations?.nodeLost(state.node);
        wake(running);
      },
      signal: stop.signal,
    },
  );
}

async function startProbing(
  running: Running,
  telemetry: Telemetry,
  passive: PassiveLinks,
): Promise<void> {
  const gate = createBurstGate();
  const { teardown, clock, random } = running;
  const { config } = running.desired;
  const log = running.log.child({ component: "probe" });
  if (config.probeServer.enabled) {
    const server = await startProbeServer(config.probeServer, {
      log: running.log,
      clock,
      gate,
    });
    teardown.defer("probe server", () => server.stop());
  }
  const prober = startLinkProber(
    { self: running.self.node, peers: config.links, probe: config.probe },
    {
      log,
      clock,
      random,
      gate,
      passive,
      publishLink: (from, to, report) => telemetry.publishLink(from, to, report),
    },
  );
  teardown.defer("link prober", () => prober.stop());
}
