import { z } from "zod";
import { AppError, printable } from "../../core/index.js";
import { parseJson } from "../../protocol/index.js";
import type { PlanningLink } from "../problem.js";

const LINKS_MAX = 100_000;

const linksDocumentSchema = z.strictObject({
  links: z
    .array(
      z.strictObject({
        from: z.string().min(1).max(200),
        to: z.string().min(1).max(200),
        rttMs: z.number().nonnegative(),
        bandwidthMbps: z.number().positive(),
      }),
    )
    .max(LINKS_MAX),
});

/**
 * Links from a file: JSON (`{"links": [{"from", "to", "rttMs", "bandwidthMbps"}]}`), or CSV with the
 * columns `source,destination,ping(ms),bandwidth(mbps)`, spaces and blank lines allowed, and a header
 * if there is one. Throws LINKS_INVALID, naming file, entry and remedy.
 */
export function parseLinks(file: { path: string; text: string }): PlanningLink[] {
  const entries = file.text.trimStart().startsWith("{") ? fromJson(file) : fromCsv(file);
  const seen = new Map<string, string>();
  for (const { link, entry } of entries) {
    const name = `${link.from} → ${link.to}`;
    const first = seen.get(name);
    if (first !== undefined) {
      throw invalid(file.path, entry, `${name} is given already at ${first}; keep one of the two`);
    }
    if (link.from === link.to) {
      throw invalid(file.path, entry, `${name} leads nowhere; remove it`);
    }
    seen.set(name, entry);
  }
  return entries.map(({ link }) => link);
}

interface Entry {
  link: PlanningLink;
  /** "line 3", "links.2". */
  entry: string;
}

function fromJson({ path, text }: { path: string; text: string }): Entry[] {
  const parsed = parseJson(text, linksDocumentSchema);
  if (!parsed.ok) throw new AppError("LINKS_INVALID", `${path}: ${parsed.message}`);
  return parsed.value.links.map((link, index) => ({ link, entry: `links.${index}` }));
}

function fromCsv({ path, text }: { path: string; text: string }): Entry[] {
  const lines = text
    .replace(/^\ufeff/, "")
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({
      entry: `line ${index + 1}`,
      cells: line.split(",").map((cell) => cell.trim()),
    }))
    .filter(({ cells }) => cells.some((cell) => cell !== ""));
  if (lines.length > LINKS_MAX) {
    throw new AppError("LINKS_INVALID", `${path}: more than ${LINKS_MAX} links`);
  }
  const [first] = lines;
  const rows = first !== undefined && isHeader(first.cells) ? lines.slice(1) : lines;
  return rows.map(({ entry, cells }) => {
    const [from = "", to = "", rtt, bandwidth, ...surplus] = cells;
    if (from === "" || to === "" || surplus.some((cell) => cell !== "")) {
      throw invalid(path, entry, "write source,destination,ping(ms),bandwidth(mbps)");
    }
    const quantity = (
      cell: string | undefined,
      name: string,
      isGood: (value: number) => boolean,
    ) => {
      const value = cell === undefined || cell === "" ? NaN : Number(cell);
      if (Number.isFinite(value) && isGood(value)) return value;
      const problem =
        cell === undefined || cell === "" ? "is missing" : `is "${printable(cell, 40)}"`;
      throw invalid(path, entry, `${name} of ${from} → ${to} ${problem}; give a number`);
    };
    return {
      entry,
      link: {
        from,
        to,
        rttMs: quantity(rtt, "ping in milliseconds", (value) => value >= 0),
        bandwidthMbps: quantity(bandwidth, "bandwidth in Mbps", (value) => value > 0),
      },
    };
  });
}

/** Two names and two words: no link has a word for its ping. */
function isHeader([source, , ping, bandwidth]: readonly string[]): boolean {
  const isWord = (cell: string | undefined): boolean =>
    cell !== undefined && cell !== "" && Number.isNaN(Number(cell));
  return source?.toLowerCase() === "source" || (isWord(ping) && isWord(bandwidth));
}

function invalid(path: string, entry: string, problem: string): AppError {
  return new AppError("LINKS_INVALID", `${path}: ${entry}: ${problem}`);
}
