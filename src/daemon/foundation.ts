import { join } from "node:path";
import { extractPartition, readHostId } from "../benchmark/index.js";
import type { DaemonConfig } from "../config/index.js";
import type { Teardown } from "../core/index.js";
import type { NodeState } from "../protocol/index.js";
import { openStore, type Store } from "../store/index.js";
import { Artifacts } from "./artifacts.js";
import { Context } from "./context.js";
import type { DaemonDeps } from "./deps.js";
import { type Desired, desire } from "./desired.js";
import { withCutsOf } from "./model-as-told.js";
import { describeSelf } from "./self.js";

const ARTIFACT_BYTES_MAX = 8 * 1_024 ** 3;

/** What everything else stands on: the state on disk, the models, and what was known before. */
export interface Foundation {
  desired: Desired;
  self: NodeState;
  store: Store;
  artifacts: Artifacts;
  context: Context;
}

export async function openFoundation(
  config: DaemonConfig,
  deps: Pick<DaemonDeps, "log" | "clock" | "newId" | "versions">,
  teardown: Teardown,
): Promise<Foundation> {
  const { log, clock, newId, versions } = deps;
  const store = await openStore({ ...config.store, directory: config.stateDirectory }, deps);
  teardown.defer("store", () => store.stop());

  const desired = await desire(config);
  const artifacts = await Artifacts.open(
    { directory: join(config.stateDirectory, "artifacts"), bytesMax: ARTIFACT_BYTES_MAX },
    (model, range, destination) =>
      extractPartition(
        { path: model.path, inputs: [...model.inputs], ...range, destination },
        withCutsOf(model, config.benchmark),
        { log, clock },
      ),
  );
  const hostId = await readHostId();
  const self = describeSelf(config, desired.models, { id: newId(), versions, hostId });
  const context = new Context();
  context.recordNode(self);
  context.rememberLinks(store.state.links, clock.monotonicMs());
  for (const profile of store.state.profiles) context.recordProfile(profile);
  for (const { plan } of store.state.pipelines) {
    if (plan === null) continue;
    for (const partition of plan.partitions) artifacts.remember(plan, partition);
  }
  return { desired, self, store, artifacts, context };
}
