export { type Broker, startBroker } from "./broker.js";
export type { CommandHandler } from "./command-server.js";
export { type CallOptions, LEASE_MS } from "./commands.js";
export type { LinkEvent } from "./intake.js";
export {
  type BrokerOptions,
  brokerOptionsSchema,
  type MqttOptions,
  mqttOptionsSchema,
  type Peer,
  type ProbeOptions,
  type ProbeServerOptions,
  peerSchema,
  probeOptionsSchema,
  probeServerOptionsSchema,
} from "./options.js";
export { type BurstGate, createBurstGate } from "./burst-gate.js";
export { PassiveLinks } from "./passive-links.js";
export { type ProbeResult, probeLink } from "./probe.js";
export type { ProbeDeps } from "./probe-session.js";
export { type ProbeServer, startProbeServer } from "./probe-server.js";
export {
  type LinkProber,
  type LinkProberDeps,
  type LinkProberSetup,
  startLinkProber,
} from "./prober.js";
export { REJECTION_CAUSES, type RejectionCause } from "./rejections.js";
export {
  connectTelemetry,
  type Telemetry,
  type TelemetryDeps,
  type TelemetryHandlers,
  type TelemetrySession,
} from "./telemetry.js";
