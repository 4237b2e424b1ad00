import { createHash } from "node:crypto";
import { AppError } from "../core/index.js";
import { parseModel } from "../model/index.js";
import { openExternal, readModelFile } from "./child-files.js";
import type { ChildConfig, ListedSidecar } from "./messages.js";

const CHUNK_BYTES = 1_048_576;
const SIDECARS_MAX = 1_000;

/**
 * The files beside a model that hold weights of it, each with the hash of its whole content.
 * @throws AppError MODEL_UNREADABLE | MODEL_TOO_LARGE
 */
export function listSidecars(path: string, config: ChildConfig): ListedSidecar[] {
  const { externalFiles } = parseModel(readModelFile(path, config.modelBytesMax));
  if (externalFiles.length > SIDECARS_MAX) {
    const text = `the model has ${externalFiles.length} external files; ${SIDECARS_MAX} are the limit`;
    throw new AppError("MODEL_TOO_LARGE", text);
  }
  return externalFiles.map((location) =>
    openExternal(path, location, (read, { bytes, modifiedMs }) => {
      const hash = createHash("sha256");
      for (let offset = 0; offset < bytes; offset += CHUNK_BYTES) {
        hash.update(read(offset, Math.min(CHUNK_BYTES, bytes - offset)));
      }
      return { location, bytes, modifiedMs, sha256: hash.digest("hex") };
    }),
  );
}
