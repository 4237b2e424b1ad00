import { linkKey, type LinkQuality, type Moment, MOMENTS_MAX } from "./moments.js";

/** Samples closer than this are one: a flood must not push out what was known before it. */
const SPACING_MS = 250;

/** What was measured of one direction of a link; in order of time. */
export interface LinkHistory {
  from: string;
  to: string;
  samples: readonly LinkSample[];
}

export interface LinkSample extends LinkQuality {
  /** Monotonic. */
  atMs: number;
}

/**
 * With one more sample, in its place by time; at most `MOMENTS_MAX`, the newest. Of samples that are
 * close together the newest stays, so that a flood of them costs neither memory nor the memory of
 * what was before. `samples` are those of an earlier call, so what lies before the new one is thin already.
 */
export function withSample(
  samples: readonly LinkSample[],
  sample: LinkSample,
): readonly LinkSample[] {
  const place = samples.findLastIndex(({ atMs }) => atMs < sample.atMs) + 1;
  const kept = samples.slice(0, place);
  keep(kept, sample);
  for (const later of samples.slice(place)) if (later.atMs > sample.atMs) keep(kept, later);
  return kept.length > MOMENTS_MAX ? kept.slice(-MOMENTS_MAX) : kept;
}

/**
 * The moments at which something new was known of these links, the last one being now. Each holds the
 * newest sample of every link; what was not measured yet is taken as it was measured first.
 */
export function momentsOf(links: readonly LinkHistory[]): Moment[] {
  const times = new Set(links.flatMap(({ samples }) => samples.map(({ atMs }) => atMs)));
  const moments = thinned([...times].sort((a, b) => a - b).map((atMs) => ({ atMs })));
  const ways = links.map((link) => ({ key: linkKey(link), samples: link.samples, at: 0 }));
  return moments.slice(-MOMENTS_MAX).map(({ atMs }) => {
    const qualities = new Map<string, LinkQuality>();
    for (const way of ways) {
      while ((way.samples[way.at + 1]?.atMs ?? Infinity) <= atMs) way.at += 1;
      const known = way.samples[way.at];
      if (known !== undefined) qualities.set(way.key, known);
    }
    return { atMs, links: qualities };
  });
}

/** Items in order of time, without those that are close to the one before and not the newest. */
function thinned<Item extends { atMs: number }>(items: readonly Item[]): Item[] {
  const kept: Item[] = [];
  for (const item of items) keep(kept, item);
  return kept;
}

/** Appends the newest item; the one before it goes where it is close to its own predecessor. */
function keep<Item extends { atMs: number }>(kept: Item[], item: Item): void {
  const last = kept.at(-1);
  const before = kept.at(-2);
  if (last !== undefined && before !== undefined && last.atMs - before.atMs < SPACING_MS) {
    kept.pop();
  }
  kept.push(item);
}
