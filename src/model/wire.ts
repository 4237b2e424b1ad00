import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { AppError } from "../core/index.js";
import type { ModelLimits } from "./options.js";
import { ModelProtoSchema, NodeProtoSchema } from "./proto/onnx_pb.js";

const WIRE_VARINT = 0;
const WIRE_FIXED_64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED_32 = 5;
const VARINT_BYTES_MAX = 10;
const FIELD_NUMBER_MAX = 0x1fff_ffff;

/**
 * Walks the wire format without decoding it, so that what is decoded afterwards is well formed
 * and of bounded size. Groups are refused: ONNX has none, and they could nest without end.
 * @throws AppError MODEL_UNREADABLE (where and what) | MODEL_TOO_LARGE (which limit)
 */
export function guardWireFormat(bytes: Uint8Array, limits: ModelLimits): void {
  if (bytes.byteLength > limits.bytesMax) {
    throw tooLarge(`the file has ${bytes.byteLength} bytes, more than ${limits.bytesMax}`);
  }
  const walk: Walk = { bytes, position: 0, limits, layers: 0, records: 0, fields: new Map() };
  walkMessage(walk, ModelProtoSchema, { end: bytes.byteLength, depth: 1 });
}

interface Walk {
  bytes: Uint8Array;
  position: number;
  limits: ModelLimits;
  layers: number;
  records: number;
  fields: Map<DescMessage, ReadonlyMap<number, DescField>>;
}

function walkMessage(
  walk: Walk,
  message: DescMessage,
  place: { end: number; depth: number },
): void {
  const { limits } = walk;
  if (place.depth > limits.messageDepthMax) {
    throw tooLarge(
      `messages nest deeper than ${limits.messageDepthMax} at byte ${walk.position} (about ${Math.floor(limits.messageDepthMax / 3)} sub-graphs in each other)`,
    );
  }
  if (message === NodeProtoSchema && ++walk.layers > limits.layersMax) {
    throw tooLarge(`it has more than ${limits.layersMax} nodes`);
  }
  const fields = fieldsOf(walk, message);
  while (walk.position < place.end) {
    countRecord(walk);
    const at = walk.position;
    const tag = readVarint(walk, place.end);
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (number < 1 || number > FIELD_NUMBER_MAX) throw malformed(at, `field number ${number}`);
    const field = fields.get(number);
    if (field !== undefined && !isWireTypeOf(field, wireType)) {
      throw malformed(at, `field ${message.name}.${field.name} has wire type ${wireType}`);
    }
    walkValue(walk, { wireType, field, at }, place);
  }
}

function walkValue(
  walk: Walk,
  record: { wireType: number; field: DescField | undefined; at: number },
  place: { end: number; depth: number },
): void {
  const { wireType, field, at } = record;
  if (wireType === WIRE_VARINT) {
    readVarint(walk, place.end);
  } else if (wireType === WIRE_FIXED_64) {
    advance(walk, 8, place.end);
  } else if (wireType === WIRE_FIXED_32) {
    advance(walk, 4, place.end);
  } else if (wireType === WIRE_BYTES) {
    const length = readVarint(walk, place.end);
    const end = walk.position + length;
    if (end > place.end) throw malformed(at, `a field of ${length} bytes ends beyond its message`);
    if (field?.message !== undefined) {
      walkMessage(walk, field.message, { end, depth: place.depth + 1 });
    } else if (field?.fieldKind === "list" && isInteger(field.scalar)) {
      while (walk.position < end) {
        countRecord(walk);
        readVarint(walk, end);
      }
    } else {
      walk.position = end;
    }
  } else {
    throw malformed(at, `wire type ${wireType}`);
  }
}

function countRecord(walk: Walk): void {
  if (++walk.records > walk.limits.recordsMax) {
    throw tooLarge(`it has more than ${walk.limits.recordsMax} fields`);
  }
}

function fieldsOf(walk: Walk, message: DescMessage): ReadonlyMap<number, DescField> {
  let fields = walk.fields.get(message);
  if (fields === undefined) {
    fields = new Map(message.fields.map((field) => [field.number, field]));
    walk.fields.set(message, fields);
  }
  return fields;
}

function isWireTypeOf(field: DescField, wireType: number): boolean {
  if (!isInteger(field.scalar)) return wireType === WIRE_BYTES;
  return wireType === WIRE_VARINT || (field.fieldKind === "list" && wireType === WIRE_BYTES);
}

/** The schema's only scalars beside text and bytes. */
function isInteger(scalar: ScalarType | undefined): boolean {
  return scalar === ScalarType.INT64 || scalar === ScalarType.INT32;
}

/** The value as a number; what is beyond 2^53 loses digits, which no length or tag can use. */
function readVarint(walk: Walk, end: number): number {
  const start = walk.position;
  let value = 0;
  let factor = 1;
  for (let count = 0; count < VARINT_BYTES_MAX; count++) {
    if (walk.position >= end) throw malformed(start, "a number is cut off");
    const byte = walk.bytes[walk.position++] ?? 0;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
    factor *= 128;
  }
  throw malformed(start, `a number is longer than ${VARINT_BYTES_MAX} bytes`);
}

function advance(walk: Walk, count: number, end: number): void {
  if (walk.position + count > end) throw malformed(walk.position, "a number is cut off");
  walk.position += count;
}

function malformed(at: number, what: string): AppError {
  return new AppError("MODEL_UNREADABLE", `not an ONNX model: at byte ${at}, ${what}`);
}

function tooLarge(what: string): AppError {
  return new AppError("MODEL_TOO_LARGE", `the model is too large: ${what}`);
}
