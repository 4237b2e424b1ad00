import { listSidecars } from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import { Teardown } from "../core/index.js";
import { createMetrics } from "../metrics/index.js";
import type { Status } from "../protocol/index.js";
import { Bars } from "./bars.js";
import { startMeasuring } from "./benchmark-work.js";
import { BusyHosts } from "./busy-hosts.js";
import { startConfirming } from "./confirm-work.js";
import { openFoundation } from "./foundation.js";
import { startHearing } from "./hear.js";
import { HostTurns } from "./host-turns.js";
import { Loads } from "./loads.js";
import { ProgressBoard } from "./progress-board.js";
import { startPlanning } from "./plan.js";
import { startRecording } from "./record.js";
import { reload } from "./reload.js";
import type { DaemonDeps } from "./deps.js";
import { tellProviders } from "./own-providers.js";
import { currentStatus, type Running } from "./running.js";
import { servePlans } from "./serve.js";
import { Sidecars } from "./sidecars.js";
import { watchedStore } from "./watched-store.js";

const STEP_TIMEOUT_MS = 10_000;

export interface Daemon {
  /** HTTP port, as bound. */
  readonly port: number;
  /** URL of the broker in use, without secrets. */
  readonly broker: string;
  status(): Status;
  /** False when the loop that plans is stuck. */
  isProgressing(): boolean;
  /** Takes a new configuration live. Rejects, and changes nothing, when a part of it fails. */
  reload(config: DaemonConfig): Promise<void>;
  /** A new configuration has errors and was not taken: nothing changes but the metrics. */
  refuse(): void;
  /** Idempotent. */
  stop(): Promise<void>;
}

/** Starts the edge daemon; the plans of the last run are served before anything else happens. */
export async function startDaemon(config: DaemonConfig, deps: DaemonDeps): Promise<Daemon> {
  const teardown = new Teardown(deps.log, { stepTimeoutMs: STEP_TIMEOUT_MS });
  try {
    const running: Running = {
      ...(await openFoundation(config, deps, teardown)),
      ...deps,
      teardown,
      metrics: createMetrics({
        version: deps.versions.scissiond,
        nodeVersion: deps.versions.node,
        onnxruntimeVersion: deps.versions.onnxruntime,
      }),
      bars: new Bars(),
      loads: new Loads(),
      busy: new BusyHosts(deps.clock),
      turns: new HostTurns(),
      progress: new ProgressBoard(deps.clock),
      sidecars: new Sidecars((model, signal) =>
        listSidecars(model.path, running.desired.config.benchmark, { ...deps, signal }),
      ),
      probing: { latest: new AbortController(), ended: new AbortController() },
      confirmed: [],
      parts: {},
      startedMs: deps.clock.monotonicMs(),
      storeProblem: undefined,
    };
    running.confirmed = running.store.state.confirmed ?? [];
    running.store = watchedStore(running.store, running);
    running.metrics.configLoaded({ ok: true, at: deps.clock.nowMs() });
    await startRecording(running);
    const publisher = await servePlans(running);
    startPlanning(running);
    const telemetry = await startHearing(running);
    await startMeasuring(running, telemetry);
    startConfirming(running);
    teardown.defer("execution providers", () => running.probing.ended.abort());
    void tellProviders(running);
    return {
      port: publisher.port,
      broker: telemetry.broker,
      status: () => currentStatus(running),
      isProgressing: () => running.parts.reconciler?.isProgressing() ?? true,
      reload: (next) => reload(running, next),
      refuse: () => running.metrics.configLoaded({ ok: false, at: deps.clock.nowMs() }),
      stop: () => teardown.run(),
    };
  } catch (cause) {
    await teardown.run().catch(() => undefined);
    throw cause;
  }
}
