import { describeEnvironment } from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import { restartSchedule } from "./benchmark-work.js";
import { reloaded } from "./desired.js";
import { tellProviders } from "./own-providers.js";
import { type Running, wake } from "./running.js";

/** Takes a new configuration live; rejects, and changes nothing, when a part of it fails. */
export async function reload(running: Running, next: DaemonConfig): Promise<void> {
  const { metrics, clock } = running;
  const providersBefore = providersOf(running);
  try {
    running.desired = await reloaded(running.desired, next, running.log);
  } catch (error) {
    metrics.configLoaded({ ok: false, at: clock.nowMs() });
    throw error;
  }
  metrics.configLoaded({ ok: true, at: clock.nowMs() });
  const models = running.desired.models.map(({ name, sha256 }) => ({ name, sha256 }));
  const environment = describeEnvironment(running.desired.config.benchmark, running.versions);
  running.self = { ...running.self, models, environment };
  // What was found of others says nothing of these, however long they take to be tried.
  if (providersOf(running) !== providersBefore) running.self.missingProviders = [];
  running.context.recordNode(running.self);
  running.parts.telemetry?.setState(running.self);
  running.parts.publisher?.setClients(running.desired.config.listen.clients);
  void tellProviders(running);
  await restartSchedule(running);
  // Its own file is what it was, so that its profiles are not missing: they are looked at.
  if (running.desired.models.some((model) => running.sidecars.haveChanged(model))) {
    running.parts.benchmarks?.refreshAll("schedule");
  }
  wake(running);
}

/** As one text. */
function providersOf({ desired }: Running): string {
  return desired.config.benchmark.inference.executionProviders.join(" ");
}
