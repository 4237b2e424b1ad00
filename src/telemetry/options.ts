import { z } from "zod";
import { nameSchema } from "../protocol/index.js";

const portSchema = z.number().int().min(0).max(65_535);

/** How a daemon or agent reaches its broker. Secrets and certificates arrive as contents, not as paths. */
export const mqttOptionsSchema = z.strictObject({
  url: z
    .string()
    .regex(/^(mqtts?|wss?):\/\/[^\s@]+$/, "use mqtt://, mqtts://, ws:// or wss://, without a login")
    .default("mqtt://127.0.0.1:1883")
    .describe("The broker's address. A login belongs into username and password."),
  username: z.string().min(1).max(256).optional().describe("The name to log in with."),
  password: z.string().max(4_096).optional().describe("The password to log in with."),
  tls: z
    .strictObject({
      ca: z.string().optional().describe("PEM of the authorities to trust, instead of Node's."),
      cert: z.string().optional().describe("PEM of the client's own certificate."),
      key: z.string().optional().describe("PEM of the client certificate's key."),
    })
    .prefault({})
    .describe("Certificates for mqtts:// and wss://."),
  protocolVersion: z
    .union([z.literal(4), z.literal(5)])
    .default(4)
    .describe("4 is MQTT 3.1.1 and works everywhere; 5 only where the broker speaks it."),
  keepaliveSeconds: z
    .number()
    .int()
    .min(1)
    .max(3_600)
    .default(30)
    .describe("A silent connection is given up after one and a half times this."),
  connectTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe("How long the broker may take to accept a connection."),
  reconnect: z
    .strictObject({
      minMs: z
        .number()
        .int()
        .min(10)
        .max(600_000)
        .default(500)
        .describe("Longest pause before the first attempt; doubles with each failure."),
      maxMs: z
        .number()
        .int()
        .min(10)
        .max(3_600_000)
        .default(30_000)
        .describe("Longest pause between attempts. The real pause is random, up to this."),
      takenOverMs: z
        .number()
        .int()
        .min(10)
        .max(3_600_000)
        .default(300_000)
        .describe(
          "Pause after another program took over this client id, so that they do not fight.",
        ),
    })
    .prefault({})
    .describe("Attempts never end; these set their pace."),
  limits: z
    .strictObject({
      payloadBytesMax: z
        .number()
        .int()
        .min(1_024)
        .max(16_777_216)
        .default(65_536)
        .describe("Longest message that is looked at."),
      profileBytesMax: z
        .number()
        .int()
        .min(1_024)
        .max(67_108_864)
        .default(4_194_304)
        .describe("The same for profiles."),
      maxAgeSeconds: z
        .number()
        .positive()
        .max(86_400)
        .default(60)
        .describe("A link report that says it is older than this is dropped."),
      futureToleranceSeconds: z
        .number()
        .nonnegative()
        .max(86_400)
        .default(10)
        .describe("A link report may be this far in the future, for clocks that differ."),
      clockSkewSecondsMax: z
        .number()
        .nonnegative()
        .max(86_400)
        .default(600)
        .describe(
          "A source whose clock is always off by the same, up to this, is understood after ten seconds; 0: never.",
        ),
      linkReportsPerSecond: z
        .number()
        .positive()
        .max(10_000)
        .default(10)
        .describe("Rate of reports taken from one link topic; more are dropped and counted."),
      linkReportsBurst: z
        .number()
        .int()
        .positive()
        .max(100_000)
        .default(20)
        .describe("Reports of one link topic taken at once before the rate applies."),
      linksMax: z
        .number()
        .int()
        .positive()
        .max(1_000_000)
        .default(4_096)
        .describe(
          "Distinct links and nodes that are followed; further ones are dropped and counted.",
        ),
    })
    .prefault({})
    .describe("What is taken from the broker. Everything beyond is dropped and counted."),
});
export type MqttOptions = z.infer<typeof mqttOptionsSchema>;

/** The embedded broker. */
export const brokerOptionsSchema = z.strictObject({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("Address to listen on. Beyond loopback, set username and password."),
  port: portSchema.default(1883).describe("Port to listen on; 0 takes a free one."),
  username: z.string().min(1).max(256).optional().describe("The name clients must log in with."),
  password: z.string().max(4_096).optional().describe("The password clients must log in with."),
  maxClients: z
    .number()
    .int()
    .positive()
    .max(100_000)
    .default(256)
    .describe("Connections at a time; further ones are closed."),
  maxPacketBytes: z
    .number()
    .int()
    .min(1_024)
    .max(268_435_455)
    .default(8_388_608)
    .describe("A client that sends a longer packet is disconnected."),
  maxRetainedTopics: z
    .number()
    .int()
    .positive()
    .max(1_000_000)
    .default(10_000)
    .describe("Topics with a retained message; a publication to a further one is refused."),
  connectTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(10_000)
    .describe("How long a client may take to say who it is."),
  keepaliveSecondsMax: z
    .number()
    .int()
    .min(1)
    .max(65_535)
    .default(300)
    .describe("A client that asks for a longer keepalive is refused."),
});
export type BrokerOptions = z.infer<typeof brokerOptionsSchema>;

/** The side that answers the probes of peers. */
export const probeServerOptionsSchema = z.strictObject({
  enabled: z.boolean().default(true).describe("Whether peers may measure their link to this node."),
  host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
  port: portSchema.default(8_421).describe("Port to listen on; 0 takes a free one."),
  maxConnections: z
    .number()
    .int()
    .positive()
    .max(1_000)
    .default(8)
    .describe("Probes at a time; further ones are closed at once."),
  maxBurstBytes: z
    .number()
    .int()
    .min(16_384)
    .max(1_073_741_824)
    .default(16_777_216)
    .describe("Longest burst a peer may ask for or send."),
  maxBytesPerMinute: z
    .number()
    .int()
    .min(16_384)
    .default(1_073_741_824)
    .describe("Bytes of all bursts together in a minute; further bursts are refused."),
  connectionTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(30_000)
    .describe("A probe that takes longer is cut."),
});
export type ProbeServerOptions = z.infer<typeof probeServerOptionsSchema>;

/** The side that measures. */
export const probeOptionsSchema = z.strictObject({
  intervalSeconds: z
    .number()
    .min(0.05)
    .max(86_400)
    .default(10)
    .describe("Pause between two probes of the same peer; the real one varies by a fifth."),
  rttSamples: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(7)
    .describe("Round trips per probe; the median is reported."),
  lossDatagrams: z
    .number()
    .int()
    .min(0)
    .max(1_000)
    .default(50)
    .describe(
      "UDP datagrams of 64 bytes by which loss is measured, whenever bandwidth is; 0: never. Loss is left out where no UDP passes.",
    ),
  dataBudget: z
    .strictObject({
      megabytesPerHour: z
        .number()
        .positive()
        .max(1_000_000)
        .nullable()
        .default(16)
        .describe("Most data that measuring one link costs in any hour; null: without limit."),
      megabytesPerMonth: z
        .number()
        .positive()
        .max(1_000_000_000)
        .nullable()
        .default(1_000)
        .describe(
          "The same in the long run, for metered links. Where nothing is metered, null gives newer bandwidths.",
        ),
      allMegabytesPerHour: z
        .number()
        .positive()
        .max(1_000_000)
        .nullable()
        .default(128)
        .describe("Most data that measuring all links of this node costs in any hour."),
    })
    .prefault({})
    .describe(
      "What bursts and datagrams may cost. When it is used up only round trips are measured, which take some 1.5 kB each time.",
    ),
  busyRetries: z
    .number()
    .int()
    .min(0)
    .max(100)
    .default(8)
    .describe("How often a probe tries again while another one is under way at either end."),
  passiveFreshSeconds: z
    .number()
    .min(0)
    .max(86_400)
    .default(30)
    .describe(
      "No bursts are sent over a link whose rate a runtime's own transfers have told within this time.",
    ),
  burstBytesMin: z
    .number()
    .int()
    .min(1_024)
    .max(16_777_216)
    .default(16_384)
    .describe("The first burst of a bandwidth measurement."),
  burstBytesMax: z
    .number()
    .int()
    .min(1_024)
    .max(1_073_741_824)
    .default(8_388_608)
    .describe("Bursts grow up to this until one lasts long enough."),
  burstTargetMs: z
    .number()
    .min(10)
    .max(60_000)
    .default(150)
    .describe(
      "A burst that lasts this long is a measurement. Longer is more exact and costs more data.",
    ),
  connectTimeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(5_000)
    .describe("How long a peer may take to accept a probe."),
  timeoutMs: z
    .number()
    .int()
    .min(100)
    .max(600_000)
    .default(20_000)
    .describe("How long one probe may take in all."),
  deadAfterFailures: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(3)
    .describe("Failed probes in a row after which the link is reported as lost (100 %)."),
});
export type ProbeOptions = z.infer<typeof probeOptionsSchema>;

/** A peer whose link is measured. */
export const peerSchema = z.strictObject({
  to: nameSchema.describe("The peer's node name."),
  host: z.string().min(1).max(253).describe("Where the peer's probe server listens."),
  port: portSchema.min(1).default(8_421).describe("Its port."),
});
export type Peer = z.infer<typeof peerSchema>;
