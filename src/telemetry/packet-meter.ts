const LENGTH_BYTES_MAX = 4;

/**
 * Watches a stream of MQTT packets and tells, from the fixed header alone, when one is longer than
 * `packetBytesMax` or its length is malformed [MQTT-2.2.3]. Returns whether all is well so far.
 */
export function createPacketMeter(packetBytesMax: number): (chunk: Uint8Array) => boolean {
  let state: "type" | "length" | "body" = "type";
  let bodyBytes = 0;
  let lengthBytes = 0;
  return (chunk) => {
    let offset = 0;
    while (offset < chunk.length) {
      if (state === "body") {
        const taken = Math.min(bodyBytes, chunk.length - offset);
        offset += taken;
        bodyBytes -= taken;
        if (bodyBytes === 0) state = "type";
        continue;
      }
      const byte = chunk[offset] ?? 0;
      offset += 1;
      if (state === "type") {
        state = "length";
        bodyBytes = 0;
        lengthBytes = 0;
        continue;
      }
      bodyBytes += (byte & 0x7f) * 128 ** lengthBytes;
      lengthBytes += 1;
      const last = (byte & 0x80) === 0;
      if (bodyBytes > packetBytesMax || (!last && lengthBytes === LENGTH_BYTES_MAX)) return false;
      if (last) state = bodyBytes === 0 ? "type" : "body";
    }
    return true;
  };
}
