import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import type { AddressInfo } from "node:net";
import { type Browser, chromium } from "playwright-core";

const ROOT = join(import.meta.dirname, "../..");
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** Only built code and the SDK's one dependency are served. */
const SERVED = /^\/(dist|node_modules\/zod)\/[\w./-]+\.js$/;

/** Where Chromium is installed; undefined where it is not. */
export function chromiumPath(): string | undefined {
  return PLACES.find((path) => existsSync(path));
}

/** Headless, with a fresh profile. */
export function startBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS, headless: true });
}

export interface PageServer {
  origin: string;
  stop(): Promise<void>;
}

/** Serves this page at `/`, and the built modules as they are: no bundler. */
export async function servePage(html: string): Promise<PageServer> {
  const server = createServer((request, response) => {
    const path = normalize((request.url ?? "/").split("?", 1)[0] ?? "/");
    if (path === "/") {
      response.setHeader("content-type", "text/html; charset=utf-8").end(html);
      return;
    }
    if (!SERVED.test(path) || extname(path) !== ".js") {
      response.writeHead(404).end();
      return;
    }
    readFile(join(ROOT, path)).then(
      (bytes) => response.setHeader("content-type", "text/javascript").end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
