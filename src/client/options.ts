import { z } from "zod";

const seconds = z.number().positive().max(86_400);

/** How a subscriber keeps its connection. The defaults suit runtimes and dashboards alike. */
export const connectionOptionsSchema = z.strictObject({
  reconnectMinSeconds: seconds
    .default(0.5)
    .describe("Upper bound of the first random wait before connecting again; it doubles."),
  reconnectMaxSeconds: seconds.default(30).describe("Upper bound of every later wait."),
  connectTimeoutSeconds: seconds
    .default(10)
    .describe("Time in which the connection must be open and the first message here."),
  silenceTimeoutSeconds: seconds
    .default(45)
    .describe("Without any message for this long, heartbeats included, it connects again."),
  messageBytesMax: z
    .number()
    .int()
    .min(1_024)
    .default(67_108_864)
    .describe("Largest message taken from the daemon."),
});
export type ConnectionOptions = z.infer<typeof connectionOptionsSchema>;
