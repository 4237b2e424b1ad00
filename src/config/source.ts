import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import { errorMessage } from "../core/index.js";
import { type Environment, expandVariables } from "./environment.js";
import { type ConfigProblem, type Finding, formatPath, type Path } from "./problem.js";

/** Nodes of a document with every alias written out; bounds what a few lines of aliases can grow to. */
const NODES_MAX = 50_000;
const DEPTH_MAX = 64;
const ALIASES_MAX = 1_000;

/** A YAML document as plain values, with the way back from each value to its line. */
export interface Source {
  value: unknown;
  /** True where the text of a scalar came from the environment. */
  isExpanded(path: Path): boolean;
  problems: ConfigProblem[];
  problemAt(finding: Finding): ConfigProblem;
}

interface Offsets {
  key: number | undefined;
  value: number | undefined;
}

class TooLarge extends Error {}

/**
 * Text → value. `problems` holds all syntax errors (then `value` is undefined), or what is wrong
 * with keys and environment variables (then the rest can still be checked). Never throws.
 */
export function readSource(file: string, text: string, environment: Environment): Source {
  const lines = new LineCounter();
  const reader = new Reader(file, lines, environment);
  try {
    const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: "1.2" });
    const errors = [...document.errors, ...document.warnings];
    const problems = errors.map((error) => syntaxProblem(file, error));
    const isReadable = errors.every(({ code }) => code === "DUPLICATE_KEY");
    return reader.source(isReadable ? document : undefined, problems);
  } catch (error) {
    const problem = reader.problemAt({ path: [], at: "value", message: errorMessage(error) });
    return reader.source(undefined, [problem]);
  }
}

class Reader {
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #environment: Environment;
  readonly #offsets = new Map<string, Offsets>();
  readonly #expanded = new Set<string>();
  readonly #findings: Finding[] = [];
  #nodes = 0;
  #aliases = 0;

  constructor(file: string, lines: LineCounter, environment: Environment) {
    this.#file = file;
    this.#lines = lines;
    this.#environment = environment;
  }

  source(document: Document.Parsed | undefined, problems: ConfigProblem[]): Source {
    const value = document === undefined ? undefined : this.#read(document, document.contents, []);
    return {
      value,
      isExpanded: (path) => this.#expanded.has(pathKey(path)),
      problems: [...problems, ...this.#findings.map((finding) => this.problemAt(finding))],
      problemAt: (finding) => this.problemAt(finding),
    };
  }

  /** The place of the finding, or of the nearest thing around it that is in the file. */
  problemAt({ path, at, message }: Finding): ConfigProblem {
    const { line, col } = this.#lines.linePos(this.#offsetOf(path, at));
    return {
      file: this.#file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: formatPath(path),
      message,
    };
  }

  #offsetOf(path: Path, at: Finding["at"]): number {
    const offsets = this.#offsets.get(pathKey(path));
    if (offsets !== undefined) {
      const wanted = at === "key" ? (offsets.key ?? offsets.value) : (offsets.value ?? offsets.key);
      if (wanted !== undefined) return wanted;
    }
    return path.length === 0 ? 0 : this.#offsetOf(path.slice(0, -1), "key");
  }

  #read(document: Document.Parsed, node: unknown, path: Path): unknown {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX)
      throw new TooLarge(`more than ${NODES_MAX} values, aliases included`);
    if (path.length > DEPTH_MAX) throw new TooLarge(`nested deeper than ${DEPTH_MAX} levels`);
    if (isAlias(node)) {
      this.#aliases += 1;
      if (this.#aliases > ALIASES_MAX) throw new TooLarge(`more than ${ALIASES_MAX} aliases`);
      return this.#read(document, node.resolve(document), path);
    }
    if (isScalar(node)) return this.#readScalar(node.value, path);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        this.#remember([...path, index], undefined, item);
        return this.#read(document, item, [...path, index]);
      });
    }
    return isMap(node) ? this.#readMap(document, node, path) : null;
  }

  #readMap(document: Document.Parsed, map: YAMLMap, path: Path): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    for (const { key, value } of map.items) {
      if (!isScalar(key)) {
        this.#findings.push({ path, at: "value", message: "a key must be one word" });
        continue;
      }
      const name = String(key.value);
      this.#remember([...path, name], key, value);
      entries.push([name, this.#read(document, value, [...path, name])]);
    }
    // Unlike assignment this makes "__proto__" a key like any other.
    return Object.fromEntries(entries);
  }

  #readScalar(value: unknown, path: Path): unknown {
    if (typeof value !== "string") return value;
    const expanded = expandVariables(value, this.#environment);
    if (!expanded.ok) {
      this.#findings.push({ path, at: "value", message: expanded.message });
      return value;
    }
    if (expanded.changed) this.#expanded.add(pathKey(path));
    return expanded.text;
  }

  #remember(path: Path, key: unknown, value: unknown): void {
    this.#offsets.set(pathKey(path), { key: startOf(key), value: startOf(value) });
  }
}

function startOf(node: unknown): number | undefined {
  const { range } = (node ?? {}) as { range?: [number, number, number] | null };
  return range?.[0];
}

function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** The parser's message is "<what> at line 3, column 5:", a blank line, the line and a caret. */
function syntaxProblem(file: string, error: YAMLError): ConfigProblem {
  const [first = "", ...excerpt] = error.message.trimEnd().split("\n");
  const [start] = error.linePos ?? [{ line: 1, col: 1 }];
  return {
    file,
    line: start.line,
    column: start.col,
    path: "",
    message: first.replace(/ at line \d+, column \d+:?$/, ""),
    ...(excerpt.length > 0 ? { excerpt: excerpt.filter((line) => line !== "").join("\n") } : {}),
  };
}
