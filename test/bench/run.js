// Runs every *.bench.js of this folder, one after another. Each prints one line of JSON a result.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const directory = fileURLToPath(new URL(".", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(directory)
  .filter((file) => file.endsWith(".bench.js"))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.startsWith(name)))
  .sort();

let failures = 0;
for (const file of files) {
  console.error(`# ${file}`);
  const { status, signal } = spawnSync(process.execPath, [directory + file], { stdio: "inherit" });
  if (status === 0) continue;
  failures++;
  console.error(`# ${file} failed: ${signal ?? `exit ${status}`}`);
}
process.exitCode = failures === 0 ? 0 : 1;
