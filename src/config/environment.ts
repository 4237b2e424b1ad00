/** Environment variables, as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$(\$\{|\{([^}]*)\}?)/g;
const NAMED = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export type Expanded =
  | { ok: true; text: string; changed: boolean }
  | { ok: false; message: string };

/**
 * Replaces `${NAME}` and `${NAME:-default}` in one scalar; `$${` stands for a literal `${`.
 * What a variable holds is never expanded or parsed again.
 */
export function expandVariables(text: string, environment: Environment): Expanded {
  let failure: string | undefined;
  const expanded = text.replace(REFERENCE, (whole: string, rest: string, inner?: string) => {
    if (rest === "${") return "${";
    const [, name, fallback] = (whole.endsWith("}") ? NAMED.exec(inner ?? "") : null) ?? [];
    if (name === undefined) {
      failure ??= "write ${NAME} or ${NAME:-default}, and $${ for the characters themselves";
      return "";
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && (value !== "" || fallback === undefined)) return value;
    if (fallback === undefined) {
      failure ??= `the environment variable ${name} is not set; set it, or write \${${name}:-default}`;
    }
    return fallback ?? "";
  });
  if (failure !== undefined) return { ok: false, message: failure };
  return { ok: true, text: expanded, changed: expanded !== text };
}
