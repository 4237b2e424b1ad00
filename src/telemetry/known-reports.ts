import { isDeepStrictEqual } from "node:util";
import { PASSIVE_SOURCE } from "../drift/index.js";
import type { LinkReport } from "../protocol/index.js";
import { forgetFirst } from "./forget-first.js";

/** Reports of one link that are remembered, to know them again. */
const REMEMBERED_MAX = 64;
/**
 * Sources of one link at a time beside its runtime and the probes of its two ends. One that is silent
 * for long makes room. Few, since who invents many names must not outvote those that were there before.
 */
const FOREIGN_MAX = 3;
const SILENT_MS = 60_000;
const PROBE_PREFIX = "probe-";

interface Heard {
  heardMs: number;
}

interface Known {
  sources: Map<string, Heard>;
  /** Reports, and beside them when they were measured: numbers are looked through fast. */
  recent: LinkReport[];
  recentAt: number[];
}

/**
 * Knows reports of one link that arrive twice, and keeps a flood of made-up sources from costing
 * memory. Links themselves are bounded: the one that was silent longest is forgotten.
 */
export class KnownReports {
  readonly #linksMax: number;
  readonly #links = new Map<string, Known>();

  constructor(linksMax: number) {
    this.#linksMax = linksMax;
  }

  /** Whether this report is a new one; `nowMs` is monotonic. */
  observe(
    path: { from: string; to: string },
    report: LinkReport,
    nowMs: number,
  ): "new" | "duplicate" | "too-many" {
    const link = `${path.from}/${path.to}`;
    const known = this.#links.get(link) ?? newlyKnown();
    const isOwn = isOwnSource(path, report.source);
    const verdict = isDuplicate(known, report)
      ? "duplicate"
      : isOwn || admit(known, report.source ?? "", nowMs)
        ? "new"
        : "too-many";
    if (verdict !== "new") return verdict;
    // The last one in is the one that was heard last.
    this.#links.delete(link);
    this.#links.set(link, known);
    if (this.#links.size > this.#linksMax) forgetFirst(this.#links);
    return "new";
  }
}

function newlyKnown(): Known {
  return { sources: new Map(), recent: [], recentAt: [] };
}

/** Without `at` nobody can tell whether it is one. */
function isDuplicate({ recent, recentAt }: Known, report: LinkReport): boolean {
  if (report.at === undefined) return false;
  const isSame = (known: LinkReport): boolean =>
    known.at === report.at && isDeepStrictEqual(known, report);
  if (recentAt.includes(report.at) && recent.some(isSame)) return true;
  recent.push(report);
  recentAt.push(report.at);
  if (recent.length > REMEMBERED_MAX) {
    recent.shift();
    recentAt.shift();
  }
  return false;
}

function admit({ sources }: Known, source: string, nowMs: number): boolean {
  if (!makeRoom(sources, source, nowMs)) return false;
  sources.set(source, { heardMs: nowMs });
  return true;
}

/** Whether a source belongs to the link itself: its runtime, or the probes of its two ends. */
export function isOwnSource(path: { from: string; to: string }, source = ""): boolean {
  if (!source.startsWith(PROBE_PREFIX)) return source === PASSIVE_SOURCE;
  const node = source.slice(PROBE_PREFIX.length);
  return node === path.from || node === path.to;
}

/** Whether there is room for this one among the foreign sources of a link; forgets silent ones for it. */
export function makeRoom(sources: Map<string, Heard>, source: string, nowMs: number): boolean {
  if (sources.has(source) || sources.size < FOREIGN_MAX) return true;
  for (const [name, { heardMs }] of sources) {
    if (nowMs - heardMs > SILENT_MS) sources.delete(name);
  }
  return sources.size < FOREIGN_MAX;
}
