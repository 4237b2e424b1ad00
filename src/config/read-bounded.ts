import { open } from "node:fs/promises";

/**
 * A file's bytes and mode. Rejects with more than `bytesMax`, whatever size the file claims:
 * devices and pipes claim none.
 */
export async function readBounded(
  path: string,
  bytesMax: number,
): Promise<{ bytes: Uint8Array; mode: number }> {
  const file = await open(path, "r");
  try {
    const { mode } = await file.stat();
    const buffer = new Uint8Array(bytesMax + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (length > bytesMax) throw new Error(`it has more than ${bytesMax} bytes`);
      if (bytesRead === 0) return { bytes: buffer.subarray(0, length), mode };
    }
  } finally {
    await file.close();
  }
}
