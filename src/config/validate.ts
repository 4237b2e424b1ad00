import { z } from "zod";
import { suggestion } from "../core/index.js";
import type { Finding, Path } from "./problem.js";
import type { Source } from "./source.js";

type Issue = z.core.$ZodIssue;

export type Validated<T> = { ok: true; value: T } | { ok: false; findings: Finding[] };

/** The document against its schema: the value with all defaults, or everything that is wrong. */
export function validate<T>(schema: z.ZodType<T>, source: Source): Validated<T> {
  const options = { error: knownKeysOf, reportInput: false };
  let value: unknown = source.value ?? {};
  let result = schema.safeParse(value, options);
  if (!result.success) {
    value = result.error.issues.reduce((kept, issue) => repaired(kept, issue, source), value);
    result = schema.safeParse(value, options);
  }
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, findings: result.error.issues.flatMap((issue) => findingsOf(issue, value)) };
}

/**
 * A section whose lines are all comments is null in YAML, and means "nothing set here". And what
 * an environment variable holds is text; where a number or a boolean belongs, it is read as one.
 */
function repaired(document: unknown, issue: Issue, source: Source): unknown {
  if (issue.code !== "invalid_type") return document;
  const path = issue.path as Path;
  const found = valueAt(document, path);
  if (found === null) return replaceAt(document, path, undefined);
  if (typeof found !== "string" || !source.isExpanded(path)) return document;
  if (issue.expected === "boolean" && /^(true|false)$/.test(found)) {
    return replaceAt(document, path, found === "true");
  }
  const isNumeric = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(found);
  return issue.expected === "number" && isNumeric
    ? replaceAt(document, path, Number(found))
    : document;
}

/** zod names the unknown keys of an object; its message is made to carry the known ones. */
function knownKeysOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code !== "unrecognized_keys") return undefined;
  const schema = issue.inst as z.core.$ZodType | undefined;
  return schema instanceof z.ZodObject ? Object.keys(schema.shape).join(" ") : "";
}

function findingsOf(issue: Issue, document: unknown): Finding[] {
  const path = issue.path as Path;
  const wrong = (message: string): Finding[] => [{ path, at: "value", message }];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey(path, key, issue.message.split(" ")));
    case "invalid_type": {
      const found = valueAt(document, path);
      if (found === undefined) return [{ path, at: "key", message: `missing: ${issue.expected}` }];
      return wrong(`expected ${issue.expected}, got ${typeName(found)}`);
    }
    case "invalid_value":
      return [valueFinding(path, issue.values.map(String), valueAt(document, path))];
    case "invalid_union":
      return unionFindings(issue, document);
    case "invalid_format":
    case "too_big":
    case "too_small":
    case "not_multiple_of":
    case "invalid_key":
    case "invalid_element":
    case "custom":
      return wrong(lowerFirst(issue.message));
  }
}

function valueFinding(path: Path, allowed: readonly string[], found: unknown): Finding {
  const expected = `${allowed.length > 1 ? "one of " : ""}${allowed.join(", ")}`;
  if (found === undefined) return { path, at: "key", message: `missing: ${expected}` };
  const hint = typeof found === "string" ? suggestion(found, allowed) : "";
  return { path, at: "value", message: `expected ${expected}${hint}` };
}

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const hint = suggestion(key, known) || `; known here: ${known.join(", ")}`;
  return { path: [...path, key], at: "key", message: `unknown key${hint}` };
}

/** Reports the one form that was meant, where the value's type shows it, else all of them. */
function unionFindings(
  issue: Extract<Issue, { code: "invalid_union" }>,
  document: unknown,
): Finding[] {
  const path = issue.path as Path;
  const branches = issue.errors.map((issues) =>
    issues.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })),
  );
  const meant = branches.filter((issues) =>
    issues.every((inner) => inner.code !== "invalid_type" || inner.path.length > path.length),
  );
  const [only] = meant;
  if (only !== undefined && meant.length === 1) {
    return only.flatMap((inner) => findingsOf(inner as Issue, document));
  }
  const forms = branches.flatMap((issues) =>
    issues.slice(0, 1).flatMap((inner) => findingsOf(inner as Issue, document)),
  );
  const message = [...new Set(forms.map((form) => form.message))].join(", or ");
  return [{ path, at: "value", message: message || lowerFirst(issue.message) }];
}

function typeName(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

function valueAt(document: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    document,
  );
}

/** A copy with another value at the path; undefined removes the key. */
function replaceAt(document: unknown, path: Path, replacement: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return replacement;
  if (Array.isArray(document)) {
    return document.map((item: unknown, index) =>
      index === step ? replaceAt(item, rest, replacement) : item,
    );
  }
  const entries = Object.entries(document as Record<string, unknown>).flatMap(([key, value]) => {
    if (key !== String(step)) return [[key, value] as const];
    const replaced = replaceAt(value, rest, replacement);
    return replaced === undefined ? [] : [[key, replaced] as const];
  });
  return Object.fromEntries(entries);
}
