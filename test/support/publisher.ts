import { seededRandom, silentLogger, systemClock } from "../../src/core/index.js";
import { type PublisherOptions, publisherOptionsSchema } from "../../src/publisher/options.js";
import {
  type Publisher,
  type PublisherApi,
  type PublisherDeps,
  type PublisherEvent,
  startPublisher,
} from "../../src/publisher/index.js";
import { aStatus } from "./plans.js";

/** An API over fixed values. */
export function fixedApi(overrides: Partial<PublisherApi> = {}): PublisherApi {
  return {
    status: () => aStatus(),
    problems: () => [],
    decisions: () => [],
    artifactPath: () => undefined,
    control: () => Promise.resolve(),
    ...overrides,
  };
}

export interface RunningPublisher extends Publisher {
  events: PublisherEvent[];
  httpUrl: string;
  updatesUrl: string;
}

/** The real server on a free loopback port. */
export async function runPublisher(
  options: Record<string, unknown> = {},
  deps: Partial<PublisherDeps> = {},
): Promise<RunningPublisher> {
  const parsed: PublisherOptions = publisherOptionsSchema.parse({ port: 0, ...options });
  const events: PublisherEvent[] = [];
  const publisher = await startPublisher(parsed, {
    log: silentLogger,
    clock: systemClock,
    random: seededRandom(7),
    metrics: { contentType: "text/plain", render: () => Promise.resolve("scission_up 1\n") },
    api: fixedApi(),
    onEvent: (event) => events.push(event),
    ...deps,
  });
  const address = `127.0.0.1:${publisher.port}`;
  return {
    ...publisher,
    events,
    httpUrl: `http://${address}`,
    updatesUrl: `ws://${address}/api/v1/updates`,
  };
}
