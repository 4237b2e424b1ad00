import { AppError, printable } from "../core/index.js";

const SECONDS_MAX = 1_000_000;
const MBPS_MAX = 1_000_000;

/** Bandwidth of each second; 0 is an outage. */
export type Trace = readonly number[];

/**
 * A recorded bandwidth from CSV, `second,mbps`, with a header if there is one. Seconds count up from
 * the first line's; one that is left out keeps the value before it. Throws TRACE_INVALID, naming file, line and
 * remedy.
 */
export function parseTrace(file: { path: string; text: string }): Trace {
  const rows = rowsOf(file);
  const [first] = rows;
  if (first === undefined) {
    throw new AppError("TRACE_INVALID", `${file.path}: no samples; write lines of second,mbps`);
  }
  const trace: number[] = [];
  for (const { second, mbps, line } of rows) {
    const index = second - first.second;
    if (index < trace.length) {
      throw invalid(file.path, line, `second ${second} comes after a later one; sort by time`);
    }
    if (index >= SECONDS_MAX) {
      throw invalid(file.path, line, `more than ${SECONDS_MAX} seconds; cut the file in pieces`);
    }
    const previous = trace.at(-1) ?? mbps;
    while (trace.length < index) trace.push(previous);
    trace.push(mbps);
  }
  return trace;
}

interface Row {
  second: number;
  mbps: number;
  line: number;
}

function rowsOf({ path, text }: { path: string; text: string }): Row[] {
  const rows: Row[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split(/\r\n|\r|\n/)
    .entries()) {
    const line = index + 1;
    const cells = raw.split(",").map((cell) => cell.trim());
    if (cells.every((cell) => cell === "")) continue;
    const [second, mbps] = cells.map((cell) => (cell === "" ? NaN : Number(cell)));
    const isHeader = rows.length === 0 && Number.isNaN(second) && Number.isNaN(mbps);
    if (isHeader && cells.length === 2) continue;
    if (cells.length !== 2 || second === undefined || mbps === undefined) {
      throw invalid(path, line, "write second,mbps");
    }
    if (!Number.isSafeInteger(second) || second < 0) {
      throw invalid(path, line, `the second is "${printable(cells[0] ?? "", 40)}"; count them up`);
    }
    if (!(mbps >= 0 && mbps <= MBPS_MAX)) {
      throw invalid(path, line, `the rate is "${printable(cells[1] ?? "", 40)}"; give it in Mbps`);
    }
    rows.push({ second, mbps, line });
  }
  return rows;
}

function invalid(path: string, line: number, problem: string): AppError {
  return new AppError("TRACE_INVALID", `${path}: line ${line}: ${problem}`);
}
