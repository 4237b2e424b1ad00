import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchProcess } from "./daemon-process.js";
import { until } from "./poll.js";

const PLACES = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];

/** Where the reference broker is installed; undefined where it is not. */
export function mosquittoPath(): string | undefined {
  return PLACES.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Mosquitto {
  port: number;
  url: string;
  /** With SIGTERM it says farewell: it sends everybody's will. */
  stop(signal?: "SIGKILL" | "SIGTERM"): Promise<void>;
}

/** A real Mosquitto on this port of loopback, which forgets everything when it stops. */
export async function startMosquitto(path: string, port: number): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), "scissiond-mosquitto-"));
  const config = join(directory, "mosquitto.conf");
  await writeFile(config, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
  const child = watchProcess(spawn(path, ["-c", config]));
  await until(() => accepts(port), { what: "mosquitto" });
  return {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    stop: async (signal = "SIGKILL") => {
      child.signal(signal);
      await child.ended;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
