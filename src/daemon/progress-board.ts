import type { Clock } from "../core/index.js";
import type { BenchmarkProgress } from "../protocol/index.js";

/** What was told longer ago is over, or its teller has gone; rests and pauses are shorter. */
const SHOWN_MS = 120_000;
const NODES_MAX = 1_000;

/** How far benchmarks are, as nodes told it last. */
export class ProgressBoard {
  readonly #told = new Map<string, { progress: BenchmarkProgress; atMs: number }>();
  readonly #clock: Pick<Clock, "monotonicMs">;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Undefined: nothing is under way there. */
  set(node: string, progress: BenchmarkProgress | undefined): void {
    this.#told.delete(node);
    this.#forgetOld();
    if (progress === undefined || this.#told.size >= NODES_MAX) return;
    this.#told.set(node, { progress, atMs: this.#clock.monotonicMs() });
  }

  of(node: string): BenchmarkProgress | undefined {
    return this.all().find((each) => each.node === node);
  }

  /** In order of time, so the oldest come first. */
  #forgetOld(): void {
    const oldestMs = this.#clock.monotonicMs() - SHOWN_MS;
    for (const [node, { atMs }] of this.#told) {
      if (atMs >= oldestMs) return;
      this.#told.delete(node);
    }
  }

  all(): (BenchmarkProgress & { node: string })[] {
    const oldestMs = this.#clock.monotonicMs() - SHOWN_MS;
    return [...this.#told].flatMap(([node, { progress, atMs }]) =>
      atMs < oldestMs || progress.done >= progress.total ? [] : [{ node, ...progress }],
    );
  }
}
