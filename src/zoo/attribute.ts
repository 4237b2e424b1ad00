import { create, type MessageShape, type UnknownField } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { AttributeProtoSchema } from "../model/index.js";
import type { Attribute } from "./graph.js";

/** Field numbers of AttributeProto, and the codes of its AttributeType. */
const FIELD = { float: 2, integer: 3, integers: 8, type: 20 } as const;
const TYPE = { float: 1, integer: 2, integers: 7 } as const;

/** The schema of model/ passes scalar attributes through as fields it does not know; so they are written as such. */
export function encodeAttribute(attribute: Attribute): MessageShape<typeof AttributeProtoSchema> {
  const message = create(AttributeProtoSchema, { name: attribute.name });
  message.$unknown = [...valueFields(attribute), integerField(FIELD.type, TYPE[attribute.kind])];
  return message;
}

function valueFields(attribute: Attribute): UnknownField[] {
  switch (attribute.kind) {
    case "integer":
      return [integerField(FIELD.integer, attribute.value)];
    case "integers":
      return attribute.value.map((value) => integerField(FIELD.integers, value));
    case "float": {
      const data = new BinaryWriter().float(attribute.value).finish();
      return [{ no: FIELD.float, wireType: WireType.Bit32, data }];
    }
  }
}

function integerField(no: number, value: number): UnknownField {
  return { no, wireType: WireType.Varint, data: new BinaryWriter().int64(value).finish() };
}
