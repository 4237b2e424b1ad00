import { afterEach, describe, expect, it } from "vitest";
import { type Status, statusSchema } from "../../src/protocol/index.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { startSite, writeSite } from "../support/site.js";

const KILLS = 2;
const WAIT = { timeoutMs: 60_000 };

describe("an operator's order to measure, over kill -9", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  it(`is carried out when the daemon is killed right behind its answer, ${KILLS} times`, async () => {
    const [http, broker] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${http}`;
    const files = await writeSite({
      listen: { port: http },
      mqtt: { broker: { port: broker }, reconnect: { minMs: 20, maxMs: 50 } },
    });
    cleanup.push(() => files.remove());
    const start = (): RunningProcess =>
      killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
    let daemon = start();
    const site = await startSite(`mqtt://127.0.0.1:${broker}`);
    cleanup.push(() => site.stop());

    const status = async (): Promise<Status | undefined> => {
      const answer = await fetch(`${url}/api/v1/status`).catch(() => undefined);
      return answer && statusSchema.parse(await answer.json());
    };
    /** All three nodes' profiles are younger than this. */
    const measuredSince = (atMs: number): Promise<unknown> =>
      until(
        async () => {
          const profiles = (await status())?.profiles ?? [];
          return profiles.filter(({ measuredAt }) => measuredAt >= atMs).length === 3;
        },
        { ...WAIT, what: "three new profiles" },
      );
    const order = async (): Promise<number> => {
      const askedMs = Date.now();
      const answer = await fetch(`${url}/api/v1/pipelines/vision-cam-1/control`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"action":"bench"}',
      });
      expect(answer.status).toBe(202);
      return askedMs;
    };

    await measuredSince(0);
    for (let round = 0; round < KILLS; round += 1) {
      const askedMs = await order();
      await kill(daemon);
      daemon = start();
      await measuredSince(askedMs);
    }
    const answer = await fetch(`${url}/api/v1/decisions`);
    const { decisions } = (await answer.json()) as { decisions: { summary: string }[] };
    expect(decisions.filter(({ summary }) => summary.endsWith("asked for bench"))).toHaveLength(
      KILLS,
    );

    // An order that was carried out is not carried out again.
    await until(async () => (await status())?.benchmark.running === null, WAIT);
    const commanded = site.device.commanded.length;
    const doneMs = Date.now();
    await kill(daemon);
    daemon = start();
    await measuredSince(0);
    await until(async () => (await status())?.nodes.every(({ online }) => online), WAIT);
    const askedMs = await order();
    await measuredSince(askedMs);
    expect(site.device.commanded.length - commanded, `since ${doneMs}`).toBe(1);
  }, 240_000);
});
