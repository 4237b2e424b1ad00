import type { DriftOptions } from "../drift/options.js";
import type { BrokerOptions, MqttOptions } from "../telemetry/options.js";
import type { AgentFile } from "./agent-schema.js";
import type { ResolvedClientTls } from "./client-tls.js";
import type { DaemonFile } from "./daemon-schema.js";
import type { PipelineSection } from "./pipelines.js";

/** One pipeline, its thresholds complete. */
export interface PipelineConfig extends Omit<PipelineSection, "thresholds"> {
  thresholds: DriftOptions;
}

/** A daemon's configuration with absolute paths and secrets filled in. Never log it whole. */
export interface DaemonConfig extends Omit<DaemonFile, "node" | "mqtt" | "pipelines"> {
  node: { name: string; hardwareClass: string };
  mqtt: {
    /** For the embedded broker the `url` is replaced by the one that it listens on. */
    client: MqttOptions;
    /** Undefined: an external broker. */
    broker: BrokerOptions | undefined;
  };
  pipelines: PipelineConfig[];
}

/** An agent's configuration with absolute paths and secrets filled in. Never log it whole. */
export interface AgentConfig
  extends Omit<AgentFile, "node" | "mqtt" | "daemonTokenFile" | "daemonTls"> {
  daemonToken?: string;
  daemonTls: ResolvedClientTls["tls"];
  node: AgentFile["node"] & { name: string; hardwareClass: string };
  mqtt: MqttOptions;
}
