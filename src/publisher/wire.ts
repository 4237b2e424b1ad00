/** JSON as it is (`bytes`) and as one WebSocket frame (`wire`), over the same memory. */
export interface Packet {
  readonly bytes: Buffer;
  readonly wire: Buffer;
}

/** FIN and the opcode of text (RFC 6455, 5.2). */
const WHOLE_TEXT = 0x81;
const LENGTH_OF_16_BITS = 126;
const LENGTH_OF_64_BITS = 127;
const SHORT_MAX = 125;
const MEDIUM_MAX = 0xffff;

/** Framed once for all clients: servers do not mask, so that the frame is the same for everybody. */
export function packetOf(text: string): Packet {
  const length = Buffer.byteLength(text);
  const header = headerOf(length);
  const wire = Buffer.allocUnsafe(header.length + length);
  header.copy(wire);
  wire.write(text, header.length);
  return { wire, bytes: wire.subarray(header.length) };
}

function headerOf(length: number): Buffer {
  if (length <= SHORT_MAX) return Buffer.from([WHOLE_TEXT, length]);
  if (length <= MEDIUM_MAX) {
    const header = Buffer.from([WHOLE_TEXT, LENGTH_OF_16_BITS, 0, 0]);
    header.writeUInt16BE(length, 2);
    return header;
  }
  const header = Buffer.alloc(10);
  header.set([WHOLE_TEXT, LENGTH_OF_64_BITS]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}
