import type { LinkReport } from "../protocol/index.js";
import type { LinkQuality } from "./moments.js";
import { hearSource, type SourceReading } from "./sources.js";

/** Anything slower than this, but more than nothing, counts as this slow. */
const BANDWIDTH_MBPS_MIN = 0.01;

/** What one direction of a link is known by; what came before the first report may be left out. */
export interface HeardLink {
  /** What each of its sources says. */
  readings: readonly SourceReading[];
  /** The newest of each, as it was measured. */
  rttMs: number | null;
  bandwidthMbps: number | null;
}

/** What a report changes, all sources of the link considered. */
export interface Hearing {
  heard: HeardLink;
  /** What is new: neither smoothed nor guessed. An outage says nothing about the rate. */
  news: {
    rttMs?: number | undefined;
    bandwidthMbps?: number | undefined;
    lossPercent?: number | undefined;
  };
  isDown: boolean;
  /** As it is now; undefined while either is not known. A bandwidth of 0: nothing passes. */
  quality: LinkQuality | undefined;
}

/** Takes one report of a link: the one way in, for the daemon and for what it recorded. */
export function hearLink(
  old: HeardLink | undefined,
  report: LinkReport,
  from: { weight: number; atMs: number },
): Hearing {
  const { readings, combined } = hearSource(old?.readings ?? [], report, from);
  const isDown = combined.lossPercent === 100 || combined.bandwidthMbps === 0;
  const newMbps =
    isDown || combined.bandwidthMbps === undefined
      ? undefined
      : Math.max(combined.bandwidthMbps, BANDWIDTH_MBPS_MIN);
  const rttMs = combined.rttMs ?? old?.rttMs ?? null;
  const bandwidthMbps = newMbps ?? old?.bandwidthMbps ?? null;
  const isKnown = rttMs !== null && (isDown || bandwidthMbps !== null);
  return {
    heard: { readings, rttMs, bandwidthMbps },
    news: { rttMs: combined.rttMs, bandwidthMbps: newMbps, lossPercent: combined.lossPercent },
    isDown,
    quality: isKnown ? { rttMs, bandwidthMbps: isDown ? 0 : (bandwidthMbps ?? 0) } : undefined,
  };
}
