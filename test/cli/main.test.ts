import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

describe("scissiond", () => {
  it.runIf(existsSync("/dev/full"))("fails when its output cannot be written", () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [MAIN, "schema"], {
      stdio: ["ignore", full, "pipe"],
      encoding: "utf8",
    });
    closeSync(full);
    expect(stderr).toContain("ENOSPC");
    expect(status).toBe(1);
  });

  it("is content with a reader that has seen enough", () => {
    const script = `"$0" "$1" schema | true; exit "\${PIPESTATUS[0]}"`;
    const { status, stderr } = spawnSync("bash", ["-c", script, process.execPath, MAIN], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});
