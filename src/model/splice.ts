import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** Field numbers of ONNX, as the wire has them. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_OUTPUT = 12;
const GRAPH_VALUE_INFO = 13;
const NODE_NAME = 3;
const VALUE_INFO_NAME = 1;

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

/** An encoded model without the types of its inner tensors. @param bytes well-formed */
export function withoutValueInfo(bytes: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  let copiedTo = 0;
  for (const graph of recordsOf(bytes, 0, bytes.length)) {
    if (graph.field !== MODEL_GRAPH) continue;
    const body: Uint8Array[] = [];
    let bodyTo = graph.bodyStart;
    for (const { field, start, end } of recordsOf(bytes, graph.bodyStart, graph.end)) {
      if (field !== GRAPH_VALUE_INFO) continue;
      body.push(bytes.subarray(bodyTo, start));
      bodyTo = end;
    }
    body.push(bytes.subarray(bodyTo, graph.end));
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
  const reader = new BinaryReader(bytes.subarray(0, end));
  reader.pos = start;
  while (reader.pos < end) {
    const recordStart = reader.pos;
    const [field, wireType] = reader.tag();
    let bodyStart = reader.pos;
    if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      bodyStart = reader.pos;
      reader.pos += length;
    } else {
      reader.skip(wireType, field);
    }
    records.push({ field, start: recordStart, bodyStart, end: reader.pos });
  }
  return records;
}

function text(field: number, value: string): Uint8Array[] {
  return record(field, [new TextEncoder().encode(value)]);
}

/** In pieces, so that weights are copied once. */
function record(field: number, body: readonly Uint8Array[]): Uint8Array[] {
  const length = body.reduce((sum, piece) => sum + piece.byteLength, 0);
  const head = new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length).finish();
  return [head, ...body];
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
