import type { LinkReport } from "../protocol/index.js";

/** Reports of one link that are remembered, to know them again. */
const REMEMBERED_MAX = 64;
/** Names of sources of one link at a time. One that is silent for long makes room. */
const SOURCES_MAX = 8;
const SILENT_MS = 60_000;

interface Known {
  sources: Map<string, number>;
  recent: string[];
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
  observe(link: string, report: LinkReport, nowMs: number): "new" | "duplicate" | "too-many" {
    const known = this.#links.get(link) ?? { sources: new Map<string, number>(), recent: [] };
    const verdict = this.#judge(known, report, nowMs);
    if (verdict !== "new") return verdict;
    // The last one in is the one that was heard last.
    this.#links.delete(link);
    this.#links.set(link, known);
    const [oldest] = this.#links.keys();
    if (this.#links.size > this.#linksMax && oldest !== undefined) this.#links.delete(oldest);
    return "new";
  }

  #judge(known: Known, report: LinkReport, nowMs: number): "new" | "duplicate" | "too-many" {
    const { at, source = "" } = report;
    if (at !== undefined) {
      const text = JSON.stringify(report);
      if (known.recent.includes(text)) return "duplicate";
      known.recent.push(text);
      if (known.recent.length > REMEMBERED_MAX) known.recent.shift();
    }
    if (!known.sources.has(source) && known.sources.size >= SOURCES_MAX) {
      for (const [name, heardMs] of known.sources) {
        if (nowMs - heardMs > SILENT_MS) known.sources.delete(name);
      }
      if (known.sources.size >= SOURCES_MAX) return "too-many";
    }
    known.sources.set(source, nowMs);
    return "new";
  }
}
