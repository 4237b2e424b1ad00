import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { subscribe } from "../../src/client/index.js";
import { seededRandom } from "../../src/core/index.js";
import type { PlanDocument } from "../../src/protocol/index.js";
import { freePort, kill, type RunningProcess, spawnScissiond } from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { type Site, startSite, writeSite } from "../support/site.js";

const KILLS = 50;
const SEED = 20_301;
const FLAP_MS = 60;
/** A daemon dies this many updates after its first answer, at most, and this long after the last. */
const UPDATES_MAX = 2;
const LAST_BREATH_MS_MAX = 2 * FLAP_MS;

describe("kill -9 under load", () => {
  let files: Awaited<ReturnType<typeof writeSite>>;
  let site: Site;
  let daemon: RunningProcess | undefined;
  let flapping: NodeJS.Timeout;
  let url: string;

  beforeAll(async () => {
    const [http, broker] = [await freePort(), await freePort()];
    url = `http://127.0.0.1:${http}`;
    files = await writeSite({
      listen: { port: http },
      mqtt: { broker: { port: broker }, reconnect: { minMs: 20, maxMs: 50 } },
    });
    site = await startSite(`mqtt://127.0.0.1:${broker}`);
    let isGood = false;
    flapping = setInterval(() => {
      isGood = !isGood;
      const uplink = isGood ? 100 : 0.01;
      site.setLinks({ uplink, direct: uplink, backbone: 100 });
    }, FLAP_MS);
  });

  afterAll(async () => {
    clearInterval(flapping);
    if (daemon !== undefined) await kill(daemon);
    await site.stop();
    await files.remove();
  });

  it(`comes back with the last published plan, and uses no revision twice, ${KILLS} times`, async () => {
    const random = seededRandom(SEED);
    const seen = new Map<string, string>();
    let last: PlanDocument | undefined;
    let published = 0;

    for (let round = 0; round < KILLS; round += 1) {
      daemon = spawnScissiond(["run", "--config", files.configPath]);
      const stop = new AbortController();
      let answers = 0;
      const following = (async () => {
        const options = {
          signal: stop.signal,
          connection: { reconnectMinSeconds: 0.02, reconnectMaxSeconds: 0.05 },
        };
        for await (const update of subscribe(url, options)) {
          answers += 1;
          for (const plan of update.plans.values()) {
            if (answers === 1) expectNotOlder(plan, last);
            remember(seen, plan);
            if (plan.revision !== last?.revision) published += 1;
            last = plan;
          }
          if (answers === 1 && last !== undefined) expect(update.plans.size).toBe(1);
        }
      })();
      // The first one lives until it has measured and planned.
      const updates = round === 0 ? UPDATES_MAX : Math.floor(random() * (UPDATES_MAX + 1));
      const what = `more than ${updates} answers after start ${round}`;
      await until(() => answers > updates, { timeoutMs: 60_000, what });
      const dieAtMs = performance.now() + random() * LAST_BREATH_MS_MAX;
      await until(() => performance.now() >= dieAtMs);
      await kill(daemon);
      stop.abort();
      await following;
    }
    // The load was real: there were publications between the kills.
    expect(published).toBeGreaterThan(KILLS / 2);
  }, 600_000);
});

function expectNotOlder(plan: PlanDocument, last: PlanDocument | undefined): void {
  if (last === undefined) return;
  expect(plan.epoch).toBe(last.epoch);
  expect(plan.revision).toBeGreaterThanOrEqual(last.revision);
}

/** The same revision with another content would be a revision used twice. */
function remember(seen: Map<string, string>, plan: PlanDocument): void {
  const key = `${plan.epoch} ${plan.revision}`;
  const text = JSON.stringify(plan);
  expect(seen.get(key) ?? text).toBe(text);
  seen.set(key, text);
}
