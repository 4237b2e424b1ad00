const DISTANCE_MAX = 3;

/** The candidate a mistyped word most likely means; undefined when none is near. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const limit = Math.min(DISTANCE_MAX, Math.ceil(word.length / 3));
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && (best === undefined || distance < best.distance)) {
      best = { candidate, distance };
    }
  }
  return best?.candidate;
}

/** `; did you mean "model"?`, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const candidate = nearest(word, candidates);
  return candidate === undefined ? "" : `; did you mean "${candidate}"?`;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  const at = (row: number, column: number): number => table[row * width + column] ?? 0;
  for (let row = 0; row <= a.length; row += 1) {
    for (let column = 0; column <= b.length; column += 1) {
      let distance = row + column;
      if (row > 0 && column > 0) {
        const substitution = a[row - 1] === b[column - 1] ? 0 : 1;
        distance = Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + substitution,
        );
        const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
        if (row > 1 && column > 1 && swapped) {
          distance = Math.min(distance, at(row - 2, column - 2) + 1);
        }
      }
      table[row * width + column] = distance;
    }
  }
  return at(a.length, b.length);
}
