import type { MqttOptions } from "../telemetry/options.js";
import type { DaemonFile } from "./daemon-schema.js";
import type { Finding } from "./problem.js";
import { type FileContents, readNamedFile } from "./secrets.js";

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
  const read = (name: string | undefined, keys: string[], secret: boolean): Promise<FileContents> =>
    readNamedFile(directory, name, { path: ["mqtt", ...keys], secret });
  const secretFile = await read(passwordFile, ["passwordFile"], true);
  const ca = await read(tls.caFile, ["tls", "caFile"], false);
  const cert = await read(tls.certFile, ["tls", "certFile"], false);
  const key = await read(tls.keyFile, ["tls", "keyFile"], true);
  const files = [secretFile, ca, cert, key];
  const secret = password ?? secretFile.text;
  return {
    client: {
      ...plain,
      ...(secret === undefined ? {} : { password: secret }),
      tls: {
        ...(ca.text === undefined ? {} : { ca: ca.text }),
        ...(cert.text === undefined ? {} : { cert: cert.text }),
        ...(key.text === undefined ? {} : { key: key.text }),
      },
    },
    errors: [...combinationErrors(section), ...files.flatMap(({ errors }) => errors)],
    warnings: files.flatMap(({ warnings }) => warnings),
  };
}

function combinationErrors({ username, password, passwordFile, tls }: MqttSection): Finding[] {
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
    ...((tls.certFile === undefined) !== (tls.keyFile === undefined)
      ? [wrong(["tls"], "certFile and keyFile belong together")]
      : []),
  ];
}
