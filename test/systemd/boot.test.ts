import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const BOOT_TIMEOUT_MS = 110_000;
const EXIT_CODE_OF_SCENARIO = 7;

const hasProgram = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;
const canBoot =
  process.getuid?.() === 0 &&
  hasProgram("systemd-nspawn") &&
  spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;

// Skipped without root or systemd-nspawn (package systemd-container).
it.runIf(canBoot)(
  "the unit starts, reloads, is restarted by the watchdog and stops under a real systemd",
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "scissiond-boot-"));
    try {
      const code = await boot(directory);
      const log = await readFile(join(directory, "results/log"), "utf8");
      const results = log.split("\n").filter((line) => line.startsWith("@ "));
      expect(results, log).toEqual([
        "@ start: 0 active",
        "@ owner: scissiond 700",
        "@ reload: 0",
        "@ reload of a bad file: 0",
        "@ after it: 0 active",
        "@ still the first process",
        "@ watchdog: 0 1",
        "@ stop: 0 inactive success",
        "@ start with a bad file: 1 78 failed",
      ]);
      expect(code).toBe(EXIT_CODE_OF_SCENARIO);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
  BOOT_TIMEOUT_MS + 10_000,
);

/** The exit code of the booted system. All mounts live in a name space that ends with it. */
async function boot(directory: string): Promise<number | null> {
  const script = join(PROJECT, "test/systemd/boot.sh");
  const system = spawn(
    "unshare",
    ["--mount", "--", "/bin/sh", script, directory, PROJECT, process.execPath],
    { stdio: "ignore", timeout: BOOT_TIMEOUT_MS, killSignal: "SIGKILL" },
  );
  return new Promise((resolve, reject) => {
    system.once("error", reject);
    system.once("exit", resolve);
  });
}
