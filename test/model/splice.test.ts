import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from "../../src/model/proto/onnx_pb.js";
import { type Insertions, spliceModel } from "../../src/model/splice.js";
import { floats, node, value } from "../support/onnx-builder.js";

const decode = (bytes: Uint8Array): ModelProto => fromBinary(ModelProtoSchema, bytes);

/** What is to come out, by decoding and encoding all of it. */
function expected(bytes: Uint8Array, { outputs, nodeNames }: Insertions): ModelProto {
  const model = decode(bytes);
  const graph = model.graph ?? create(GraphProtoSchema);
  const further = outputs.map((name) => create(ValueInfoProtoSchema, { name }));
  const nodes = graph.node.map((one, position) =>
    nodeNames === undefined ? one : create(NodeProtoSchema, { ...one, name: nodeNames[position]! }),
  );
  const spliced = { ...graph, node: nodes, output: [...graph.output, ...further] };
  return create(ModelProtoSchema, { ...model, graph: create(GraphProtoSchema, spliced) });
}

const nameArbitrary = fc.oneof(fc.string(), fc.constant("ä".repeat(100)), fc.constant("__proto__"));

const modelArbitrary = fc
  .record({
    irVersion: fc.option(fc.bigInt({ min: 0n, max: 2n ** 62n }), { nil: undefined }),
    names: fc.array(nameArbitrary, { maxLength: 12 }),
    weights: fc.array(fc.float({ noNaN: true }), { maxLength: 60 }),
    outputs: fc.array(nameArbitrary, { maxLength: 3 }),
  })
  .map(({ irVersion, names, weights, outputs }) =>
    create(ModelProtoSchema, {
      ...(irVersion === undefined ? {} : { irVersion }),
      graph: {
        name: "g",
        node: names.map((name, index) => node("Add", ["x", "w"], [`t${index}`], { name })),
        initializer: [floats("w", weights)],
        output: outputs.map((name) => value(name, [1])),
      },
    }),
  );

describe("spliceModel", () => {
  it("adds what decoding and encoding the model would add", () => {
    fc.assert(
      fc.property(
        modelArbitrary,
        fc.array(nameArbitrary, { maxLength: 4 }),
        fc.boolean(),
        (model, outputs, isNamed) => {
          const bytes = toBinary(ModelProtoSchema, model);
          const count = model.graph?.node.length ?? 0;
          const nodeNames = Array.from({ length: count }, (_, index) => `layer-${index}`);
          const insertions = { outputs, ...(isNamed ? { nodeNames } : {}) };
          expect(decode(spliceModel(bytes, insertions))).toEqual(expected(bytes, insertions));
        },
      ),
    );
  });

  it("goes on counting nodes where a graph comes in pieces", () => {
    fc.assert(
      fc.property(modelArbitrary, modelArbitrary, (one, other) => {
        // As Protocol Buffers have it, two encodings in a row are one message.
        const bytes = new Uint8Array(
          Buffer.concat([toBinary(ModelProtoSchema, one), toBinary(ModelProtoSchema, other)]),
        );
        const count = (one.graph?.node.length ?? 0) + (other.graph?.node.length ?? 0);
        const nodeNames = Array.from({ length: count }, (_, index) => `layer-${index}`);
        const insertions = { outputs: ["a", "b"], nodeNames };
        expect(decode(spliceModel(bytes, insertions))).toEqual(expected(bytes, insertions));
      }),
    );
  });

  it("leaves the bytes it is given as they are", () => {
    const model = create(ModelProtoSchema, { graph: { node: [node("Sin", ["x"], ["y"])] } });
    const bytes = toBinary(ModelProtoSchema, model);
    const before = Uint8Array.from(bytes);
    spliceModel(bytes, { outputs: ["y"], nodeNames: ["sine"] });
    expect(bytes).toEqual(before);
  });
});
