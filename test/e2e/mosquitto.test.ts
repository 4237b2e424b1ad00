import { afterEach, describe, expect, it } from "vitest";
import type { Daemon } from "../../src/daemon/index.js";
import { freePort } from "../support/daemon-process.js";
import { mosquittoPath, startMosquitto } from "../support/mosquitto.js";
import { until } from "../support/poll.js";
import { planOf, runDaemon, startSite, tiersOf, writeSite } from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };

const path = mosquittoPath();

describe.skipIf(path === undefined)("with Mosquitto (skipped where it is not installed)", () => {
  const cleanup: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it.each(["SIGKILL", "SIGTERM"] as const)(
    "does the same, and survives the broker's %s and return",
    async (signal) => {
      const port = await freePort();
      let broker = await startMosquitto(path!, port);
      cleanup.push(() => broker.stop());
      const reconnect = { minMs: 50, maxMs: 200 };
      const files = await writeSite({ mqtt: { url: broker.url, reconnect } });
      cleanup.push(() => files.remove());
      const daemon = await runDaemon(files.configPath);
      cleanup.push(() => daemon.stop());
      const site = await startSite(broker.url);
      cleanup.push(() => site.stop());

      site.setLinks(GOOD);
      await awaitTiers(daemon, "cloud");
      const before = planOf(daemon)?.revision ?? 0;

      await broker.stop(signal);
      broker = await startMosquitto(path!, port);
      await until(() => daemon.status().mqtt.connected, { what: "the daemon's reconnection" });
      expect(planOf(daemon)?.revision).toBe(before);

      site.setLinks(POOR);
      await awaitTiers(daemon, "device");
      await site.cloud?.stop();
      site.setLinks(GOOD);
      await awaitTiers(daemon, "edge");
      await site.startCloud();
      await awaitTiers(daemon, "cloud");
    },
    60_000,
  );
});

async function awaitTiers(daemon: Daemon, tiers: string): Promise<void> {
  await until(() => tiersOf(planOf(daemon)) === tiers, {
    timeoutMs: 20_000,
    what: `a plan on ${tiers}`,
  });
}
