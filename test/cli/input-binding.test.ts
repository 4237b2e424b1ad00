import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { collectInputBinding, parseInputBinding } from "../../src/cli/input-binding.js";
import { isAppError } from "../../src/core/index.js";

function refusal(text: string): string {
  try {
    parseInputBinding(text);
  } catch (error) {
    if (isAppError(error, "USAGE")) return error.message;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe("--input", () => {
  it.each([
    ["x=1x3x224x224", { name: "x", shape: [1, 3, 224, 224] }],
    ["x=5", { name: "x", shape: [5] }],
    ["x=", { name: "x", shape: [] }],
    ["sr=:16000", { name: "sr", shape: [], value: 16000 }],
    ["x=2x3:-0.5", { name: "x", shape: [2, 3], value: -0.5 }],
    ["x=2:1e-3", { name: "x", shape: [2], value: 0.001 }],
    ["x=2:0..255", { name: "x", shape: [2], range: [0, 255] }],
    ["x=2:-1.5..-0.5", { name: "x", shape: [2], range: [-1.5, -0.5] }],
    ["x=0x4", { name: "x", shape: [0, 4] }],
    ["a=b=2", { name: "a=b", shape: [2] }],
    ["scope/in:0=2x3:7", { name: "scope/in:0", shape: [2, 3], value: 7 }],
    ["__proto__=2", { name: "__proto__", shape: [2] }],
  ])("reads %s", (text, expected) => {
    expect(parseInputBinding(text)).toEqual(expected);
  });

  it.each([
    ["x", "no name before an ="],
    ["=2x3", "no name before an ="],
    ["x=2xx3", "no length"],
    ["x=-1x3", "'-1' is no length"],
    ["x=2X3", "'2X3' is no length"],
    ["x=1.5", "'1.5' is no length"],
    ["x=99999999999999999", "no length"],
    ["x=2:", "'' is no number"],
    ["x=2:NaN", "is no number"],
    ["x=2:Infinity", "is no number"],
    ["x=2:1e999", "Invalid input"],
    ["x=2:1..", "'' is no number"],
    ["x=2:1..2..3", "two ends"],
    ["x=2:1:2", "more than one value"],
    [`x=${Array(17).fill(1).join("x")}`, "Too big"],
  ])("refuses %s", (text, why) => {
    expect(refusal(text)).toContain(why);
  });

  it("says a name with control characters without printing them", () => {
    expect(refusal("a\u001b[2J=q")).toContain("\\u{1b}[2J");
  });

  it("refuses the same name twice", () => {
    const first = collectInputBinding("x=1", []);
    expect(() => collectInputBinding("x=2", first)).toThrow(/x twice/);
    expect(collectInputBinding("y=2", first)).toHaveLength(2);
  });

  it("gives back any name, shape and value that was written", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: "grapheme" }),
        fc.array(fc.nat({ max: 1_000_000 }), { maxLength: 16 }),
        fc.option(fc.integer(), { nil: undefined }),
        (name, shape, value) => {
          const text = `${name}=${shape.join("x")}${value === undefined ? "" : `:${value}`}`;
          const expected = value === undefined ? { name, shape } : { name, shape, value };
          expect(parseInputBinding(text)).toEqual(expected);
        },
      ),
    );
  });
});
