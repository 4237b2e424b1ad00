import { AppError } from "../core/index.js";

/** Where in the document: keys and list indices from the root. */
export type Path = readonly (string | number)[];

/** Something wrong at a place of the document, before its line is known. */
export interface Finding {
  path: Path;
  /** Which of the two to point at, where the path names a key. */
  at: "key" | "value";
  message: string;
}

/** Something wrong in a file. Lines and columns count from 1. */
export interface ConfigProblem {
  file: string;
  line: number;
  column: number;
  /** "pipelines[0].model"; empty for the document as a whole. */
  path: string;
  message: string;
  /** The line of the file with a caret below, for syntax errors. */
  excerpt?: string;
}

const PROBLEMS_SHOWN_MAX = 100;
const PLAIN_KEY = /^[\w-]+$/;

export function formatPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      const key = PLAIN_KEY.test(step) ? step : JSON.stringify(step);
      return index === 0 ? key : `.${key}`;
    })
    .join("");
}

/** `file:line:column path: message`, and the excerpt below. */
export function formatProblem(problem: ConfigProblem): string {
  const { file, line, column, path, message, excerpt } = problem;
  const subject = path === "" ? "" : ` ${path}`;
  const first = `${file}:${line}:${column}${subject}: ${message}`;
  return excerpt === undefined ? first : `${first}\n${excerpt}`;
}

/** One line per problem, in the order of the file. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX).map(formatProblem);
  const hidden = problems.length - shown.length;
  return [...shown, ...(hidden > 0 ? [`and ${hidden} more`] : [])].join("\n");
}

export function sortProblems(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...problems].sort(
    (a, b) => a.line - b.line || a.column - b.column || a.path.localeCompare(b.path),
  );
}

/** The error that ends a command whose configuration cannot be used. */
export function configInvalid(problems: readonly ConfigProblem[]): AppError {
  const count = problems.length === 1 ? "one error" : `${problems.length} errors`;
  return new AppError(
    "CONFIG_INVALID",
    `${count} in the configuration\n${formatProblems(problems)}`,
  );
}
