/** The round trip is at most this share of a transfer that tells the rate. */
const RTT_SHARE_MAX = 0.2;
/** A shorter one is mostly the clock's grain and the work around it. */
const TRANSFER_MS_MIN = 2;
const BANDWIDTH_MBPS_MAX = 1_000_000;

/**
 * Rate of a link in Mbps, from a tensor that a runtime sent over it. Half a round trip passes before the
 * first bit arrives; whether the time includes the other half, an acknowledgement, nobody says: so only
 * a transfer that takes five round trips at least is taken for a measurement, and is right within 12 %.
 * Undefined for all others, which tell no more than that the rate is not lower.
 */
export function passiveMbps(
  transfer: { bytes: number; transferMs: number },
  rttMs: number,
): number | undefined {
  const { bytes, transferMs } = transfer;
  if (bytes === 0 || transferMs < TRANSFER_MS_MIN) return undefined;
  if (rttMs > RTT_SHARE_MAX * transferMs) return undefined;
  const mbps = (bytes * 8) / 1_000 / (transferMs - rttMs / 2);
  return Math.min(mbps, BANDWIDTH_MBPS_MAX);
}
