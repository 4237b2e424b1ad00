import type { MqttOptions } from "../telemetry/options.js";
import type { DaemonFile } from "./daemon-schema.js";
import type { Finding } from "./problem.js";
import { resolveClientTls } from "./client-tls.js";
import { readNamedFile } from "./secrets.js";

/** The `mqtt` section of either file, without what only the daemon's has. */
export type MqttSection = Omit<DaemonFile["mqtt"], "broker" | "url">;

export interface ResolvedMqtt {
  client: Omit<MqttOptions, "url">;
  errors: Finding[];
  warnings: Finding[];
}

/** Reads the files which the section names, and checks what belongs together. */
export async function resolveMqtt(section: MqttSection, directory: string): Promise<ResolvedMqtt> {
  const { passwordFile, tls, password, ...plain } = section;
  const secretFile = await readNamedFile(directory, passwordFile, {
    path: ["mqtt", "passwordFile"],
    secret: true,
  });
  const certificates = await resolveClientTls(tls, { directory, path: ["mqtt", "tls"] });
  const secret = password ?? secretFile.text;
  return {
    client: {
      ...plain,
      ...(secret === undefined ? {} : { password: secret }),
      tls: certificates.tls,
    },
    errors: [...combinationErrors(section), ...secretFile.errors, ...certificates.errors],
    warnings: [...secretFile.warnings, ...certificates.warnings],
  };
}

function combinationErrors({ username, password, passwordFile }: MqttSection): Finding[] {
  const wrong = (key: string[], message: string): Finding => ({
    path: ["mqtt", ...key],
    at: "key",
    message,
  });
  return [
    ...(password !== undefined && passwordFile !== undefined
      ? [wrong(["passwordFile"], "give either password or passwordFile")]
      : []),
    ...((password !== undefined || passwordFile !== undefined) && username === undefined
      ? [wrong([password === undefined ? "passwordFile" : "password"], "give username as well")]
      : []),
  ];
}
