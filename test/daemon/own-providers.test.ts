import { expect, it } from "vitest";
import { benchmarkOptionsSchema } from "../../src/benchmark/index.js";
import { silentLogger, systemClock } from "../../src/core/index.js";
import { Context } from "../../src/daemon/context.js";
import { tellProviders } from "../../src/daemon/own-providers.js";
import type { Running } from "../../src/daemon/running.js";

it("tells what the latest configuration lacks only, and nothing once the daemon ends", async () => {
  const desire = (...executionProviders: string[]) => {
    const inference = { niceness: 0, executionProviders };
    return { config: { benchmark: benchmarkOptionsSchema.parse({ inference }) } };
  };
  const probing = { latest: new AbortController(), ended: new AbortController() };
  // No more of a daemon than its providers are told in.
  const running = {
    ...{ log: silentLogger, clock: systemClock, context: new Context(), probing, parts: {} },
    self: { node: "edge-1" },
    desired: desire("nonsense", "cpu"),
  } as unknown as Running;
  const older = tellProviders(running);
  running.desired = desire("cpu") as Running["desired"];
  await Promise.all([older, tellProviders(running)]);
  expect(running.self.missingProviders).toBeUndefined();
  running.desired = desire("folly", "cpu") as Running["desired"];
  await tellProviders(running);
  expect(running.self.missingProviders?.map(({ name }) => name)).toEqual(["folly"]);
  running.desired = desire("cpu") as Running["desired"];
  const last = tellProviders(running);
  probing.ended.abort();
  await last;
  expect(running.self.missingProviders).toHaveLength(1);
});
