import type { z } from "zod";

export type Parsed<T> = { ok: true; value: T } | { ok: false; message: string };

/** Text from outside → a value of the schema, or one line that says where it is wrong. Never throws. */
export function parseJson<T>(text: string, schema: z.ZodType<T>): Parsed<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { ok: false, message: `not JSON: ${(error as Error).message}` };
  }
  return parseValue(json, schema);
}

/** The same for a value that is parsed already. */
export function parseValue<T>(value: unknown, schema: z.ZodType<T>): Parsed<T> {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, message: describeIssues(result.error) };
}

const ISSUES_SHOWN_MAX = 3;

function describeIssues(error: z.ZodError): string {
  const lines = error.issues
    .slice(0, ISSUES_SHOWN_MAX)
    .map((issue) => `${issue.path.map(String).join(".") || "(document)"}: ${issue.message}`);
  const hidden = error.issues.length - lines.length;
  return lines.join("; ") + (hidden > 0 ? `; and ${hidden} more` : "");
}
