import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "../core/index.js";
import { inlineExternalData, type OnnxModel } from "../model/index.js";
import { externalReader, hashed, MESSAGE_BYTES_MAX, openExternal } from "./child-files.js";

const CHUNK_BYTES = 8 * 1_048_576;

/** A model with what it needs from other files. */
export interface CompleteModel {
  model: OnnxModel;
  /** Of the external data; undefined where there is none. */
  sha256: string | undefined;
  /** Where that lies, if it is too large to be held with the model. */
  externalDirectory: string | undefined;
}

/**
 * Brings a model and its external files together: in memory where they fit one message, else the
 * files stay where they are, and ONNX Runtime reads them.
 * @throws AppError MODEL_UNREADABLE | MODEL_TOO_LARGE
 */
export function completeModel(
  model: OnnxModel,
  source: { path: string; bytesMax: number },
): CompleteModel {
  const { path, bytesMax } = source;
  if (model.externalFiles.length === 0) {
    return { model, sha256: undefined, externalDirectory: undefined };
  }
  const held = model.bytes.byteLength + totalBytes(model, path);
  if (held <= MESSAGE_BYTES_MAX || bytesMax <= MESSAGE_BYTES_MAX) {
    const external = hashed(externalReader(path, bytesMax - model.bytes.byteLength));
    const complete = inlineExternalData(model, external.read);
    return { model: complete, sha256: external.sha256(), externalDirectory: undefined };
  }
  if (held > bytesMax) {
    const text = `the model and its external files have ${held} bytes; larger ones than ${bytesMax} are not read (modelBytesMax)`;
    throw new AppError("MODEL_TOO_LARGE", text);
  }
  const externalDirectory = dirname(realpathSync(path));
  return { model, sha256: hashFiles(model, path), externalDirectory };
}

function totalBytes({ externalFiles }: OnnxModel, path: string): number {
  return externalFiles
    .map((location) => openExternal(path, location, (_read, { bytes }) => bytes))
    .reduce((sum, bytes) => sum + bytes, 0);
}

/** Of the whole files, in the order in which the model names them. */
function hashFiles({ externalFiles }: OnnxModel, path: string): string {
  const hash = createHash("sha256");
  for (const location of externalFiles) {
    openExternal(path, location, (read, { bytes }) => {
      for (let offset = 0; offset < bytes; offset += CHUNK_BYTES) {
        hash.update(read(offset, Math.min(CHUNK_BYTES, bytes - offset)));
      }
    });
  }
  return hash.digest("hex");
}
