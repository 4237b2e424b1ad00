import type { Clock } from "../core/index.js";
import type { Terminal } from "./terminal.js";

const BAR_CELLS = 24;
const ERASE_LINE = "\r\u001b[K";

export interface ProgressBar {
  show(progress: { done: number; total: number; what: string }): void;
  /** Removes the bar, so that other text can follow. */
  clear(): void;
}

/** One line on standard error with the time left; silent where nobody watches. */
export function createProgressBar(terminal: Terminal, clock: Clock): ProgressBar {
  const startedAtMs = clock.monotonicMs();
  if (!terminal.interactive) return { show: () => undefined, clear: () => undefined };
  return {
    show({ done, total, what }) {
      const share = total === 0 ? 1 : done / total;
      const line = `${progressCells(share)} ${what}${timeLeft(clock.monotonicMs() - startedAtMs, share)}`;
      terminal.err(ERASE_LINE + line.slice(0, Math.max(terminal.columns - 1, 20)));
    },
    clear: () => terminal.err(ERASE_LINE),
  };
}

/** A share from 0 to 1 as a bar. */
export function progressCells(share: number): string {
  const filled = Math.round(Math.min(1, share) * BAR_CELLS);
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}

function timeLeft(elapsedMs: number, share: number): string {
  if (share === 0 || share === 1) return "";
  const seconds = Math.ceil((elapsedMs * (1 - share)) / share / 1_000);
  return seconds < 60 ? `, ${seconds} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}
