import type { Browser, Page } from "playwright-core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chromiumPath, type PageServer, servePage, startBrowser } from "../support/browser.js";
import { tokenClient } from "../support/clients.js";
import {
  freePort,
  kill,
  killedBy,
  type RunningProcess,
  spawnScissiond,
} from "../support/daemon-process.js";
import { until } from "../support/poll.js";
import { type Site, startSite, writeSite } from "../support/site.js";

const GOOD = { uplink: 100, direct: 100, backbone: 100 };
const POOR = { uplink: 0.01, direct: 0.01, backbone: 100 };
const TOKEN = "köln/+=only-the-page-knows";

/** A page that follows a daemon with the built SDK, as ES modules without a bundler. */
const PAGE = `<!doctype html>
<title>dashboard</title>
<script type="importmap">
{"imports": {"scissiond/client": "/dist/client/browser.js", "zod": "/node_modules/zod/index.js"}}
</script>
<script type="module">
import { storagePlanCache, subscribe } from "scissiond/client";
window.updates = [];
window.states = [];
window.follow = (url, token) => {
  const stop = new AbortController();
  window.stop = () => stop.abort();
  window.ended = (async () => {
    const options = {
      token,
      signal: stop.signal,
      cache: storagePlanCache(localStorage),
      connection: { reconnectMinSeconds: 0.05, reconnectMaxSeconds: 0.2 },
      onConnection: (state) => window.states.push(state.kind),
    };
    for await (const { kind, origin, plans } of subscribe(url, options)) {
      window.updates.push({ kind, origin, revisions: [...plans.values()].map((plan) => plan.revision) });
    }
  })();
};
window.isLoaded = true;
</script>`;

interface Seen {
  kind: string;
  origin: string;
  revisions: number[];
}

const path = chromiumPath();

describe.skipIf(path === undefined)(
  "the SDK in a browser (skipped where Chromium is not installed)",
  () => {
    const cleanup: (() => unknown)[] = [];
    let browser: Browser;
    let server: PageServer;
    let page: Page;
    beforeEach(async () => {
      browser = await startBrowser(path!);
      cleanup.push(() => browser.close());
      server = await servePage(PAGE);
      cleanup.push(() => server.stop());
      page = await browser.newPage();
    });
    afterEach(async () => {
      for (const step of cleanup.splice(0).reverse()) await step();
    });

    const updates = (): Promise<Seen[]> => page.evaluate<Seen[]>("window.updates");
    const states = (): Promise<string[]> => page.evaluate<string[]>("window.states");

    async function open(url: string): Promise<void> {
      await page.goto(server.origin);
      await page.waitForFunction("window.isLoaded");
      const words = [url, TOKEN].map((word) => JSON.stringify(word));
      await page.evaluate(`window.follow(${words.join()})`);
    }

    async function startAll(): Promise<{
      url: string;
      site: Site;
      start: () => RunningProcess;
      daemon: RunningProcess;
    }> {
      const [http, broker] = [await freePort(), await freePort()];
      const files = await writeSite({
        listen: {
          port: http,
          clients: [tokenClient("dashboard", "observer", { token: TOKEN })],
          allowedOrigins: [server.origin],
        },
        mqtt: { broker: { port: broker }, reconnect: { minMs: 50, maxMs: 200 } },
      });
      cleanup.push(() => files.remove());
      const start = (): RunningProcess =>
        killedBy(cleanup, spawnScissiond(["run", "--config", files.configPath]));
      const site = await startSite(`mqtt://127.0.0.1:${broker}`);
      cleanup.push(() => site.stop());
      return { url: `http://127.0.0.1:${http}`, site, start, daemon: start() };
    }

    it("follows a daemon through its restart, with a token that is never echoed", async () => {
      const { url, site, start, daemon } = await startAll();
      site.setLinks(GOOD);
      const handshakes: { asked: string; answered: string }[] = [];
      const urls: string[] = [];
      const network = await page.context().newCDPSession(page);
      network.on("Network.webSocketCreated", (event) => urls.push(event.url));
      network.on("Network.webSocketHandshakeResponseReceived", ({ response }) => {
        handshakes.push({
          asked: header(response.requestHeaders ?? {}, "sec-websocket-protocol"),
          answered: header(response.headers, "sec-websocket-protocol"),
        });
      });
      await network.send("Network.enable");
      await open(url);

      const isPlanned = async (): Promise<boolean> =>
        (await updates()).at(-1)?.revisions.length === 1;
      await until(isPlanned, { timeoutMs: 20_000, what: "a plan in the page" });
      const [first] = (await updates()).at(-1)!.revisions;
      site.setLinks(POOR);
      const isNewer = async (): Promise<boolean> =>
        ((await updates()).at(-1)?.revisions[0] ?? 0) > first!;
      await until(isNewer, { timeoutMs: 20_000, what: "an update in the page" });
      expect((await updates()).at(-1)!.kind).toBe("update");

      await kill(daemon);
      const before = (await updates()).at(-1)!.revisions[0]!;
      await until(async () => (await states()).includes("disconnected"));
      start();
      await until(async () => (await states()).at(-1) === "connected", { what: "reconnection" });
      site.setLinks(GOOD);
      const isAfter = async (): Promise<boolean> =>
        ((await updates()).at(-1)?.revisions[0] ?? 0) > before;
      await until(isAfter, { timeoutMs: 20_000, what: "an update after the restart" });

      const encoded = Buffer.from(TOKEN).toString("base64url");
      expect(handshakes.length).toBeGreaterThanOrEqual(2);
      for (const { asked, answered } of handshakes) {
        expect(asked).toBe(`scission.updates.v1, scission.bearer.${encoded}`);
        expect(answered).toBe("scission.updates.v1");
      }
      expect(urls.join()).not.toContain(encoded);
      // Revisions never went back, whatever happened to the daemon.
      const revisions = (await updates()).flatMap((update) => update.revisions);
      expect(revisions).toEqual([...revisions].sort((one, other) => one - other));
    }, 90_000);

    it("begins with the last known good plan when no daemon answers", async () => {
      const { url, site, daemon } = await startAll();
      site.setLinks(GOOD);
      await open(url);
      const isPlanned = async (): Promise<boolean> =>
        (await updates()).at(-1)?.revisions.length === 1;
      await until(isPlanned, { timeoutMs: 20_000, what: "a plan in the page" });
      // The next update is asked for, and what came is cached, once the page is idle again.
      await until(() => page.evaluate("localStorage.getItem('scissiond.plans')"));
      await kill(daemon);
      await open(url);
      await until(async () => (await updates()).length > 0, { what: "the cached plan" });
      expect((await updates())[0]).toMatchObject({ kind: "snapshot", origin: "cache" });
      expect((await updates())[0]!.revisions).toHaveLength(1);
    }, 60_000);

    it("is refused for a page of another origin", async () => {
      const other = await servePage(PAGE);
      cleanup.push(() => other.stop());
      const { url } = await startAll();
      await until(() => answers(url), { what: "the daemon" });
      server = other;
      await open(url);
      await until(
        async () => (await states()).filter((kind) => kind === "disconnected").length > 2,
      );
      expect(await states()).not.toContain("connected");
    }, 60_000);
  },
);

function answers(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`).then(
    () => true,
    () => false,
  );
}

function header(headers: Record<string, string>, name: string): string {
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1] ?? "";
}
