import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { errorMessage } from "../core/index.js";
import { agentFileSchema } from "./agent-schema.js";
import { daemonFileSchema } from "./daemon-schema.js";
import type { Environment } from "./environment.js";
import { type ConfigProblem, type Finding, sortProblems } from "./problem.js";
import { checkReferences } from "./references.js";
import { type Resolved, resolveAgent, resolveDaemon } from "./resolve.js";
import type { AgentConfig, DaemonConfig } from "./resolved.js";
import { readBounded } from "./read-bounded.js";
import { readSource } from "./source.js";
import { validate } from "./validate.js";

const FILE_BYTES_MAX = 1_048_576;

export type Loaded<T> =
  | { ok: true; config: T; warnings: ConfigProblem[] }
  | { ok: false; errors: ConfigProblem[]; warnings: ConfigProblem[] };

interface Kind<File, Config> {
  schema: z.ZodType<File>;
  check: (document: unknown) => Finding[];
  resolve: (file: File, directory: string) => Promise<Resolved<Config>>;
}

/**
 * Reads the daemon's YAML file. Never rejects for what is in the file: all errors come back at
 * once, in the order of the file, each with its line. Warnings do not stop anything.
 */
export function loadDaemonConfig(
  path: string,
  environment: Environment,
): Promise<Loaded<DaemonConfig>> {
  return load(path, environment, {
    schema: daemonFileSchema,
    check: checkReferences,
    resolve: resolveDaemon,
  });
}

/** The same for an agent's file. */
export function loadAgentConfig(
  path: string,
  environment: Environment,
): Promise<Loaded<AgentConfig>> {
  return load(path, environment, {
    schema: agentFileSchema,
    check: checkReferences,
    resolve: resolveAgent,
  });
}

async function load<File, Config>(
  path: string,
  environment: Environment,
  kind: Kind<File, Config>,
): Promise<Loaded<Config>> {
  let text: string;
  try {
    const { bytes } = await readBounded(path, FILE_BYTES_MAX);
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    const message = `cannot read the file: ${errorMessage(error)}`;
    return {
      ok: false,
      errors: [{ file: path, line: 1, column: 1, path: "", message }],
      warnings: [],
    };
  }
  const source = readSource(path, text, environment);
  if (source.value === undefined) {
    return { ok: false, errors: sortProblems(source.problems), warnings: [] };
  }
  const validated = validate(kind.schema, source);
  const references = kind.check(source.value);
  const resolved = validated.ok
    ? await kind.resolve(validated.value, dirname(resolve(path)))
    : { config: undefined, errors: validated.findings, warnings: [] };
  const located = (findings: readonly Finding[]): ConfigProblem[] =>
    sortProblems(findings.map((finding) => source.problemAt(finding)));
  const warnings = located(resolved.warnings);
  const errors = [...source.problems, ...located([...references, ...resolved.errors])];
  return errors.length === 0 && resolved.config !== undefined
    ? { ok: true, config: resolved.config, warnings }
    : { ok: false, errors: sortProblems(errors), warnings };
}
