import { z } from "zod";

const MINUTES_PER_HOUR = 60;
const MS_PER_MINUTE = 60_000;
const MINUTES_PER_DAY = 24 * MINUTES_PER_HOUR;
const RANGES_MAX = 100;

const timeSchema = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time of day as "22:00"')
  .describe('Time of day, UTC: "22:00".');

export const quietHoursSchema = z
  .array(z.strictObject({ from: timeSchema, to: timeSchema }))
  .max(RANGES_MAX);
/** Ranges of the day; one whose end is not after its start goes over midnight. */
export type QuietHours = z.infer<typeof quietHoursSchema>;

/** Whether this moment, in Unix milliseconds, lies in one of the ranges; the end is outside. */
export function isQuiet(hours: QuietHours, wallMs: number): boolean {
  const day = Math.floor(wallMs / MS_PER_MINUTE) % MINUTES_PER_DAY;
  const minute = (day + MINUTES_PER_DAY) % MINUTES_PER_DAY;
  return hours.some(({ from, to }) => {
    const [start, end] = [minuteOf(from), minuteOf(to)];
    return start < end ? minute >= start && minute < end : minute >= start || minute < end;
  });
}

function minuteOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * MINUTES_PER_HOUR + minutes;
}
