// A real Mosquitto on a free port of loopback, for benchmarks.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PLACES = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
const START_TIMEOUT_MS = 10_000;

/** Ends the benchmark with a message where Mosquitto is not installed. */
export async function startMosquitto() {
  const path = PLACES.find((place) => existsSync(place));
  if (path === undefined) {
    console.error("Mosquitto is not installed: this benchmark needs it");
    process.exit(1);
  }
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), "scissiond-bench-mosquitto-"));
  const config = join(directory, "mosquitto.conf");
  // Without a limit on what waits for a slow reader, so that nothing is dropped.
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n`,
  );
  const child = spawn(path, ["-c", config], { stdio: "ignore" });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (performance.now() > deadline) throw new Error("Mosquitto does not start");
    await sleep(20);
  }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
