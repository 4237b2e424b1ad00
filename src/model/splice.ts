/** Field numbers of ONNX, as the wire has them. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_OUTPUT = 12;
const NODE_NAME = 3;
const VALUE_INFO_NAME = 1;

const WIRE_VARINT = 0;
const WIRE_FIXED_64 = 1;
const WIRE_BYTES = 2;

export interface Insertions {
  /** Names of further outputs of the graph. */
  outputs: readonly string[];
  /** The new name of each node, by its position in the file; absent: they keep theirs. */
  nodeNames?: readonly string[];
}

/**
 * An encoded model with something added to its graph. Only what is added is encoded: of a scalar that
 * is there twice the later one counts, so that a name is replaced by another behind it. Decoding and
 * encoding all of a model takes longer than most of its blocks do.
 * @param bytes well-formed, as after `parseModel`
 */
export function spliceModel(bytes: Uint8Array, { outputs, nodeNames }: Insertions): Uint8Array {
  const graphs = recordsOf(bytes, 0, bytes.length).filter(({ field }) => field === MODEL_GRAPH);
  const pieces: Uint8Array[] = [];
  let position = 0;
  let copiedTo = 0;
  for (const [index, graph] of graphs.entries()) {
    const body: Uint8Array[] = [];
    let bodyTo = graph.bodyStart;
    for (const node of nodeNames === undefined ? [] : nodesOf(bytes, graph)) {
      body.push(bytes.subarray(bodyTo, node.start));
      bodyTo = node.end;
      const name = text(NODE_NAME, nodeNames?.[position++] ?? "");
      body.push(...record(GRAPH_NODE, [bytes.subarray(node.bodyStart, node.end), ...name]));
    }
    body.push(bytes.subarray(bodyTo, graph.end));
    // A message may come in pieces; what is repeated goes on from one to the next.
    const isLast = index === graphs.length - 1;
    for (const name of isLast ? outputs : []) {
      body.push(...record(GRAPH_OUTPUT, text(VALUE_INFO_NAME, name)));
    }
    pieces.push(bytes.subarray(copiedTo, graph.start), ...record(MODEL_GRAPH, body));
    copiedTo = graph.end;
  }
  return concatenated([...pieces, bytes.subarray(copiedTo)]);
}

interface WireRecord {
  field: number;
  /** Of the tag. */
  start: number;
  /** Of what a record of bytes holds. */
  bodyStart: number;
  end: number;
}

function nodesOf(bytes: Uint8Array, graph: WireRecord): WireRecord[] {
  return recordsOf(bytes, graph.bodyStart, graph.end).filter(({ field }) => field === GRAPH_NODE);
}

function recordsOf(bytes: Uint8Array, start: number, end: number): WireRecord[] {
  const records: WireRecord[] = [];
  const at = { bytes, position: start };
  while (at.position < end) {
    const recordStart = at.position;
    const tag = readVarint(at);
    const wireType = tag % 8;
    let bodyStart = at.position;
    if (wireType === WIRE_BYTES) {
      const length = readVarint(at);
      bodyStart = at.position;
      at.position += length;
    } else if (wireType === WIRE_VARINT) {
      readVarint(at);
    } else {
      at.position += wireType === WIRE_FIXED_64 ? 8 : 4;
    }
    const field = Math.floor(tag / 8);
    records.push({ field, start: recordStart, bodyStart, end: at.position });
  }
  return records;
}

function readVarint(at: { bytes: Uint8Array; position: number }): number {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = at.bytes[at.position++] ?? 0;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
}

function text(field: number, value: string): Uint8Array[] {
  return record(field, [new TextEncoder().encode(value)]);
}

/** In pieces, so that weights are copied once. */
function record(field: number, body: readonly Uint8Array[]): Uint8Array[] {
  const length = body.reduce((sum, piece) => sum + piece.byteLength, 0);
  return [Uint8Array.from([...varint(field * 8 + WIRE_BYTES), ...varint(length)]), ...body];
}

function varint(value: number): number[] {
  const encoded: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 128)) encoded.push((left % 128) | 0x80);
  return [...encoded, left];
}

function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let position = 0;
  for (const piece of pieces) {
    whole.set(piece, position);
    position += piece.byteLength;
  }
  return whole;
}
