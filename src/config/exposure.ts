import { isLoopback } from "../core/index.js";
import { isProtected } from "../publisher/options.js";
import type { DaemonFile } from "./daemon-schema.js";
import type { Finding } from "./problem.js";

/** Beyond loopback the HTTP port opens only where strangers are kept out, or when told so. */
export function exposureErrors({ listen }: DaemonFile): Finding[] {
  if (listen.allowUnprotected || isProtected(listen)) return [];
  const message =
    `${listen.host} can be reached from other machines, and anybody there could read plans ` +
    "and models; listen on 127.0.0.1, set both listen.tls and listen.clients, or set " +
    "listen.allowUnprotected: true";
  return [{ path: ["listen", "host"], at: "value", message }];
}

/** The daemon's own broker without a login, where other machines reach it. */
export function exposureWarnings({ mqtt }: DaemonFile): Finding[] {
  const { url, username, broker } = mqtt;
  if (url !== undefined || username !== undefined || isLoopback(broker.host)) return [];
  const message =
    "other machines can send telemetry to this broker without a login; " +
    "set mqtt.username and mqtt.passwordFile";
  return [{ path: ["mqtt", "broker", "host"], at: "value", message }];
}
