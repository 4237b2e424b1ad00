import { createHash, randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, resolve, sep } from "node:path";
import { AppError, errorMessage, printable } from "../core/index.js";
import type { ReadExternal } from "../model/index.js";

/** What Protocol Buffers can hold in one message. */
export const MESSAGE_BYTES_MAX = 2_147_483_647;

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * The bytes of a model file.
 * @throws AppError MODEL_UNREADABLE | MODEL_TOO_LARGE
 */
export function readModelFile(path: string, modelBytesMax: number): Uint8Array {
  const bytesMax = Math.min(modelBytesMax, MESSAGE_BYTES_MAX);
  return withRegularFile(path, (file, size) => {
    if (size > bytesMax) {
      throw new AppError(
        "MODEL_TOO_LARGE",
        `${printable(path)} has ${size} bytes; files of more than ${bytesMax} are not read (Protocol Buffers end at 2 GiB)`,
      );
    }
    if (size === 0) throw new AppError("MODEL_UNREADABLE", `${printable(path)} is empty`);
    return readExactly(file, { path, offset: 0, length: size });
  });
}

/**
 * Reads external data from within the model's own directory, links resolved, and no more than
 * `bytesMax` in all.
 * @throws AppError MODEL_UNREADABLE | MODEL_TOO_LARGE
 */
export function externalReader(modelPath: string, bytesMax: number): ReadExternal {
  const directory = dirname(realpathSync(modelPath));
  let bytesLeft = bytesMax;
  return (location, offset, length) => {
    const path = insideDirectory(directory, location);
    return withRegularFile(path, (file, size) => {
      const wanted = length ?? size - offset;
      if (offset < 0 || wanted < 0 || offset + wanted > size) {
        throw new AppError(
          "MODEL_UNREADABLE",
          `the model wants bytes ${offset} to ${offset + wanted} of its external file ${printable(location)}, which has ${size}`,
        );
      }
      bytesLeft -= wanted;
      if (bytesLeft < 0) {
        throw new AppError(
          "MODEL_TOO_LARGE",
          `the model and its external data have more than ${bytesMax} bytes; larger models are not read`,
        );
      }
      return readExactly(file, { path, offset, length: wanted });
    });
  };
}

/** Uses an external file within the model's own directory, links resolved. @throws AppError MODEL_UNREADABLE */
export function openExternal<T>(
  modelPath: string,
  location: string,
  use: (
    read: (offset: number, length: number) => Uint8Array,
    opened: { bytes: number; modifiedMs: number },
  ) => T,
): T {
  const path = insideDirectory(dirname(realpathSync(modelPath)), location);
  return withRegularFile(path, (file, bytes) =>
    use((offset, length) => readExactly(file, { path, offset, length }), {
      bytes,
      modifiedMs: fstatSync(file).mtimeMs,
    }),
  );
}

/** A reader, and the hash of all that it has read, in that order: it tells when a sidecar changed. */
export function hashed(read: ReadExternal): { read: ReadExternal; sha256: () => string } {
  const hash = createHash("sha256");
  return {
    read(location, offset, length) {
      const bytes = read(location, offset, length);
      hash.update(bytes);
      return bytes;
    },
    sha256: () => hash.copy().digest("hex"),
  };
}

/** Writes a file so that `path` holds all of it or what it held before. */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = openSync(temporary, "wx", 0o600);
    try {
      for (let written = 0; written < bytes.byteLength; ) {
        written += writeSync(file, bytes, written);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  }
}

function insideDirectory(directory: string, location: string): string {
  const outside = (): AppError =>
    new AppError(
      "MODEL_UNREADABLE",
      `external data ${printable(location)} is not inside the model's directory; it is not read`,
    );
  const wanted = resolve(directory, location);
  if (location.includes("\0") || !wanted.startsWith(directory + sep)) throw outside();
  const real = realPathOf(wanted, location);
  if (!real.startsWith(directory + sep)) throw outside();
  return real;
}

function realPathOf(path: string, location: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new AppError(
      "MODEL_UNREADABLE",
      `the model's external file ${printable(location)} cannot be found beside it`,
      { cause },
    );
  }
}

function withRegularFile<T>(path: string, use: (file: number, size: number) => T): T {
  let file: number;
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw new AppError("MODEL_UNREADABLE", `cannot read the model: ${errorMessage(cause)}`, {
      cause,
    });
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) {
      throw new AppError("MODEL_UNREADABLE", `${printable(path)} is not a regular file`);
    }
    return use(file, stat.size);
  } finally {
    closeSync(file);
  }
}

function readExactly(
  file: number,
  slice: { path: string; offset: number; length: number },
): Uint8Array {
  const bytes = new Uint8Array(slice.length);
  for (let done = 0; done < slice.length; ) {
    const count = readSync(file, bytes, done, slice.length - done, slice.offset + done);
    if (count === 0) {
      throw new AppError("MODEL_UNREADABLE", `${printable(slice.path)} shrank while it was read`);
    }
    done += count;
  }
  return bytes;
}
