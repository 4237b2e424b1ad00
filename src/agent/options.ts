import type { BenchmarkOptions } from "../benchmark/index.js";
import type { TlsOptions } from "../https/index.js";
import type { Tier } from "../protocol/index.js";
import type { MqttOptions, Peer, ProbeOptions, ProbeServerOptions } from "../telemetry/index.js";

/** What an agent needs of its configuration. */
export interface AgentOptions {
  site: string;
  node: { name: string; tier: Tier; hardwareClass: string };
  mqtt: MqttOptions;
  /** Answers the probes of peers. */
  probeServer: ProbeServerOptions;
  /** How this agent measures its own links. */
  probe: ProbeOptions;
  links: readonly Peer[];
  /** Downloaded models, kept by SHA-256, profiles, and benchmarks that were stopped. */
  stateDirectory: string;
  /** Base URL of the daemon, from which models are downloaded: "http://edge-1:7420". */
  daemonUrl: string;
  /** Bearer token for it, where it asks for one. */
  daemonToken?: string;
  /** PEM texts for it, where its URL is https:. */
  daemonTls: TlsOptions;
  limits: {
    modelBytesMax: number;
    /** Bytes of all cached models together; the longest unused go first. */
    cacheBytesMax: number;
    downloadTimeoutMs: number;
  };
  /** Measured times are multiplied by `slowdown`; 1 where nothing is emulated. */
  emulate: { slowdown: number };
  benchmark: BenchmarkOptions;
}
