import { inflateRawSync } from "node:zlib";
import { AppError, errorMessage, printable } from "../core/index.js";

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
const MEMBERS_MAX = 10_000;

/**
 * One array of a .npz file, which is a ZIP archive of .npy files (APPNOTE.TXT 4.3; no ZIP64).
 * @returns undefined where the archive lacks it
 * @throws AppError MODEL_INPUT_INVALID
 */
export function readNpzMember(
  archive: Uint8Array,
  member: string,
  limits: { what: string; bytesMax: number },
): Uint8Array | undefined {
  const zip = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  try {
    return findMember(zip, `${member}.npy`, limits.bytesMax);
  } catch (cause) {
    // Offsets that point nowhere are range errors of the buffer.
    const text = `${printable(limits.what)} is no archive that can be read: ${errorMessage(cause)}`;
    throw new AppError("MODEL_INPUT_INVALID", text, { cause });
  }
}

function findMember(zip: Buffer, name: string, bytesMax: number): Uint8Array | undefined {
  const end = findEnd(zip);
  const members = zip.readUInt16LE(end + 10);
  if (members > MEMBERS_MAX) throw new RangeError(`more than ${MEMBERS_MAX} members`);
  let at = zip.readUInt32LE(end + 16);
  for (let index = 0; index < members; index++) {
    if (zip.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new RangeError("its directory is broken");
    const nameBytes = zip.readUInt16LE(at + 28);
    const next =
      at + ENTRY_BYTES + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
    if (zip.toString("utf8", at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes) === name) {
      return contentOf(zip, at, bytesMax);
    }
    at = next;
  }
  return undefined;
}

function contentOf(zip: Buffer, entry: number, bytesMax: number): Uint8Array {
  const method = zip.readUInt16LE(entry + 10);
  const packedBytes = zip.readUInt32LE(entry + 20);
  const bytes = zip.readUInt32LE(entry + 24);
  if (bytes > bytesMax) throw new RangeError(`it holds ${bytes} bytes, more than ${bytesMax}`);
  const local = zip.readUInt32LE(entry + 42);
  const start = local + LOCAL_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
  const packed = zip.subarray(start, start + packedBytes);
  if (packed.byteLength !== packedBytes) throw new RangeError("it ends within a member");
  if (method === STORED) return packed;
  if (method === DEFLATED) return inflateRawSync(packed, { maxOutputLength: Math.max(bytes, 1) });
  throw new RangeError(`method ${method} of compression is unknown`);
}

function findEnd(zip: Buffer): number {
  const earliest = Math.max(0, zip.byteLength - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = zip.byteLength - END_BYTES; at >= earliest; at--) {
    if (zip.readUInt32LE(at) === END_SIGNATURE) return at;
  }
  throw new RangeError("it has no directory");
}
