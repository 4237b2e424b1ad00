// C0, DEL, C1, line and paragraph separators, and the marks that reorder text on a screen.
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text from outside (names of tensors, an engine's message) as one harmless line: control and
 * direction marks become `\u{…}`, and what is longer than `lengthMax` is cut with an ellipsis.
 */
export function printable(text: string, lengthMax = 200): string {
  const cut = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  return cut.replace(UNPRINTABLE, (mark) => `\\u{${(mark.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Whether a name pattern, in which * stands for any characters, fits the whole name. */
export function matchesGlob(glob: string, name: string): boolean {
  // Most are of these two kinds, and are asked about at every message.
  if (glob === "*") return true;
  if (!glob.includes("*")) return glob === name;
  const literal = glob.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replace(/\*+/g, ".*")}$`).test(name);
}
