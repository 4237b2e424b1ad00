import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "./atomic-file.js";
import { readBounded } from "./read-file.js";

/** Larger texts make the file grow, which only takes longer. */
const ALLOCATED_BYTES = 1_048_576;
const OWNER_ONLY = 0o600;
const END = "\n";

/**
 * One text that is safe on disk before files that take longer to replace hold it. It is written over the
 * one before, in place and into room that the file has already, so that it costs one write, which returns
 * when it is on disk (O_DSYNC), and no change of any directory. A crash in mid-write leaves remains of both:
 * whoever reads must have a checksum.
 */
export class AheadFile {
  readonly #path: string;
  readonly #directory: string;
  readonly #onLost: (error: unknown) => void;
  /** Undefined where it could not be had, or failed: what a flush that failed left is not known. */
  #file: FileHandle | undefined;

  constructor(directory: string, name: string, onLost: (error: unknown) => void) {
    this.#onLost = onLost;
    this.#directory = directory;
    this.#path = join(directory, name);
  }

  /** What was written last, or remains of it; undefined where nothing was. Rejects where it cannot be read. */
  async read(bytesMax: number): Promise<string | undefined> {
    let text: string;
    try {
      text = await readBounded(this.#path, bytesMax + ALLOCATED_BYTES);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const end = text.indexOf(END);
    const written = end === -1 ? text : text.slice(0, end + END.length);
    return written.startsWith("\0") || written === "" ? undefined : written;
  }

  /**
   * Makes room, without touching what was written. Rejects where there is none, and leaves no file unless
   * one was there.
   */
  async allocate(): Promise<void> {
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, OWNER_ONLY);
    let size = 0;
    try {
      ({ size } = await file.stat());
      await writeAt(file, size, Buffer.alloc(Math.max(0, ALLOCATED_BYTES - size)));
      await file.sync();
      await syncDirectory(this.#directory);
      this.#file = await open(this.#path, constants.O_RDWR | constants.O_DSYNC);
    } catch (error) {
      if (size === 0) await rm(this.#path, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  /**
   * True when the line is safe on disk. After false it never will be: this file is used no more, and
   * `onLost` was called once with the reason.
   */
  async write(line: Buffer): Promise<boolean> {
    const file = this.#file;
    if (file === undefined) return false;
    try {
      await writeAt(file, 0, line);
      return true;
    } catch (error) {
      this.#onLost(error);
      await this.close();
      return false;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }
}

async function writeAt(file: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, null, position + done);
    done += bytesWritten;
  }
}
