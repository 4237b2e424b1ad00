/** The value below which this share of them lies; the nearest one that was measured. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

export const median = (values) => quantile(values, 0.5);

/** Three significant digits. */
export const rounded = (value) => Number(value.toPrecision(3));

/** The same clock in every process of this machine. */
export const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
