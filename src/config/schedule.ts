import { validateDetailed } from "node-cron";
import { z } from "zod";

const cronSchema = z
  .string()
  .max(200)
  .superRefine((expression, context) => {
    const { valid, errors } = validateDetailed(expression);
    if (valid) return;
    const reasons = errors.map(({ field, message }) => `${field}: ${message}`).join("; ");
    context.addIssue({
      code: "custom",
      message: `not a cron expression (${reasons || "five fields"})`,
    });
  });

const timezoneSchema = z
  .string()
  .max(100)
  .refine(isTimezone, { message: 'not a time zone; write "UTC" or "Europe/Berlin"' });

/** When models are benchmarked anew. */
export const scheduleSchema = z.strictObject({
  benchmark: cronSchema
    .default("17 3 * * *")
    .describe("Cron expression (minute hour day month weekday) of the benchmark of all models."),
  timezone: timezoneSchema
    .default("UTC")
    .describe("Time zone of the expression. One without daylight saving time loses no runs."),
  missedToleranceSeconds: z
    .number()
    .int()
    .min(0)
    .max(86_400)
    .default(300)
    .describe("A run that could not start on time still starts within this."),
  wallTimeMinutes: z
    .number()
    .positive()
    .max(10_080)
    .default(240)
    .describe("How long one scheduled run may take. What is not done then waits for the next run."),
  maxProfileAgeHours: z
    .number()
    .positive()
    .max(87_600)
    .default(48)
    .describe("A profile older than this is measured anew, whatever the cron expression says."),
});
export type ScheduleConfig = z.infer<typeof scheduleSchema>;

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}

const MONTHS = 12;

/** Whether clocks change in the zone: cron runs around a change can be lost. */
export function hasDaylightSaving(timezone: string): boolean {
  const format = new Intl.DateTimeFormat("en", { timeZone: timezone, timeZoneName: "longOffset" });
  const offsets = Array.from({ length: MONTHS }, (_, month) =>
    format.formatToParts(Date.UTC(2026, month, 1)).find(({ type }) => type === "timeZoneName"),
  );
  return new Set(offsets.map((part) => part?.value)).size > 1;
}
