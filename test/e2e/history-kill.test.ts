import { afterEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/core/index.js";
import type { Status } from "../../src/protocol/index.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
} from "../support/daemon-process.js";
import { complaintsOf, type Held, heldAfter, type Step } from "../support/history.js";
import { mosquittoPath, startMosquitto } from "../support/mosquitto.js";
import { until } from "../support/poll.js";
import { type Recording, RecordingClient, RecordingReader } from "../support/recording-clients.js";
import { RecordingMirror } from "../support/recording-mirror.js";
import { SITE, startSite, writeSite } from "../support/site.js";

const SEED = 60_602;
const PIPELINE = "vision-cam-1";
const NODES = ["cam-1", "edge-1", "gpu-1"];
const LIVES = 3;
const UPDATES_PER_LIFE = 6;
const FLAP_MS = 80;

describe("histories of real clients of a daemon that is killed again and again", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  /** Where the broker is, and what the daemon's configuration says of it. */
  async function brokerOf(isOwn: boolean): Promise<{ url: string; section: object }> {
    const port = await freePort();
    const reconnect = { minMs: 20, maxMs: 50 };
    if (isOwn) {
      return { url: `mqtt://127.0.0.1:${port}`, section: { broker: { port }, reconnect } };
    }
    const mosquitto = await startMosquitto(mosquittoPath() ?? "", port);
    cleanup.push(() => mosquitto.stop());
    return { url: mosquitto.url, section: { url: mosquitto.url, reconnect } };
  }

  async function setUp(isOwn: boolean) {
    const http = await freePort();
    const { url: brokerUrl, section } = await brokerOf(isOwn);
    const files = await writeSite({
      listen: { port: http, stream: { heartbeatSeconds: 0.1 } },
      mqtt: section,
    });
    cleanup.push(() => files.remove());
    const site = await startSite(brokerUrl);
    cleanup.push(() => site.stop());
    const url = `http://127.0.0.1:${http}`;
    const updatesUrl = `ws://127.0.0.1:${http}/api/v1/updates`;
    const observer = new RecordingClient(updatesUrl);
    const clients: Recording[] = [
      observer,
      ...NODES.map((node) => new RecordingClient(updatesUrl, { node, canLoad: () => true })),
      new RecordingReader(url),
      new RecordingMirror(brokerUrl, { site: SITE, pipeline: PIPELINE }),
    ];
    for (const client of clients) cleanup.push(() => client.stop());
    const status = async (): Promise<Status> =>
      (await (await fetch(`${url}/api/v1/status`)).json()) as Status;
    return { files, site, observer, clients, status };
  }

  it.each([
    { broker: "the daemon's own broker", isOwn: true },
    // It outlives the daemon, so that its readers see what each life says after the one before.
    ...(mosquittoPath() === undefined ? [] : [{ broker: "Mosquitto", isOwn: false }]),
  ])(
    "keep the six words at observers, participants, readers of events and of the mirror: $broker",
    async ({ isOwn }) => {
      const { files, site, observer, clients, status } = await setUp(isOwn);
      let daemon: RunningProcess | undefined;
      let isGood = false;
      const flapping = setInterval(() => {
        isGood = !isGood;
        const uplink = isGood ? 100 : 0.01;
        site.setLinks({ uplink, direct: uplink, backbone: 100 });
      }, FLAP_MS);
      cleanup.push(() => clearInterval(flapping));

      const random = seededRandom(SEED);
      const updates = (): number =>
        observer.history.filter(({ type }) => type === "update" || type === "snapshot").length;
      for (let life = 0; life < LIVES; life += 1) {
        if (daemon !== undefined) await kill(daemon);
        daemon = killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
        const before = updates();
        const isOld = (): boolean => {
          if (random() < 0.01) clients[1 + Math.floor(random() * (clients.length - 1))]!.cut();
          return updates() >= before + UPDATES_PER_LIFE;
        };
        await until(isOld, { timeoutMs: 60_000, what: `updates in life ${life}` });
      }
      clearInterval(flapping);
      site.setLinks({ uplink: 100, direct: 100, backbone: 100 });
      const inForce = async (): Promise<Held> => {
        const { epoch, pipelines } = await status();
        const plans = pipelines.flatMap(({ plan }) => plan ?? []);
        return { epoch, revisions: new Map(plans.map((plan) => [plan.pipeline, plan.revision])) };
      };
      const isOnCloud = async (): Promise<boolean> =>
        (await status()).pipelines[0]?.plan?.partitions[0]?.tier === "cloud";
      await until(isOnCloud, { timeoutMs: 20_000, what: "the last plan" });
      const final = await inForce();
      const text = (held: Held): string => JSON.stringify([held.epoch, [...held.revisions]]);
      const isQuiet = (): boolean =>
        clients.every(({ history }) => text(heldAfter(history)) === text(final));
      await until(isQuiet, { timeoutMs: 20_000, what: "quiet" }).catch(() => undefined);

      const histories = clients.map(({ history }) => history);
      expect(complaintsOf(histories, final)).toEqual({});
      // The run was what its name says.
      const has = (client: number, type: Step["type"]): number =>
        histories[client]!.filter((step) => step.type === type).length;
      for (const [client] of clients.entries()) {
        if (isOwn || client < clients.length - 1) {
          expect(has(client, "connect"), `client ${client}`).toBeGreaterThanOrEqual(LIVES);
        }
      }
      expect(has(1, "prepare")).toBeGreaterThan(LIVES);
      expect(has(1, "activate")).toBeGreaterThan(LIVES);
      expect(has(clients.length - 1, "update")).toBeGreaterThan(LIVES);
    },
    240_000,
  );
});
