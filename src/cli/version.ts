import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const manifest = require("../../package.json") as { version: string };

/** The version of the installed package. */
export const VERSION = manifest.version;

/** Read from its manifest: only the inference child may load the library itself. */
export function onnxruntimeVersion(): string {
  return (require("onnxruntime-node/package.json") as { version: string }).version;
}
