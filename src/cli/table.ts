/** Columns that line up; those named in `right` are flush right, as numbers want it. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<string> = new Set(),
): string {
  const widths = header.map((title, column) =>
    Math.max(width(title), ...rows.map((row) => width(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const padding = " ".repeat((widths[column] ?? 0) - width(cell));
        return right.has(header[column] ?? "") ? padding + cell : cell + padding;
      })
      .join("  ")
      .trimEnd();
  return `${[header, ...rows].map(line).join("\n")}\n`;
}

/** Bytes for people: 4000 B, 588.0 KiB, 12.3 MiB. */
export function formatBytes(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  const mebibytes = bytes / 1_048_576;
  return mebibytes < 1 ? `${(bytes / 1_024).toFixed(1)} KiB` : `${mebibytes.toFixed(1)} MiB`;
}

/** Milliseconds for people, with as many digits as mean something. */
export function formatMs(milliseconds: number): string {
  const digits = milliseconds < 1 ? 4 : milliseconds < 100 ? 2 : 1;
  return `${milliseconds.toFixed(digits)} ms`;
}

function width(text: string): number {
  return Array.from(text).length;
}
