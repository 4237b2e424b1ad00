const DEEP = 200;
const LONG = 2_000;
/** Few are far beyond that: they take most of the time. */
const FAR = 50;
const FAR_SHARE = 0.01;
const ODD_VALUES = ["1e999", "-0", "9007199254740993", "null", "[]", "{}", '"\\u0000"', "1e-400"];

/** One message of a client as bytes: a valid one, most often mutated. */
export function mutatedMessage(random, { nonce, isFirst }) {
  const below = (limit) => Math.floor(random() * limit);
  const node = `node-${below(50)}`;
  const valid = validMessages(nonce, node);
  // Else few would come beyond the first message.
  const isSpared = isFirst ? random() < 0.7 : random() < 0.3;
  const text = JSON.stringify(isFirst ? valid[below(2)] : valid[below(valid.length)]);
  if (isSpared) return Buffer.from(text);
  return mutate(text, JSON.stringify(valid[below(valid.length)]), below);
}

function validMessages(nonce, node) {
  const have = { epoch: "epoch-1", revisions: { camera: 1 }, prepared: { camera: 2 } };
  return [
    { type: "subscribe", role: "observer", pipelines: ["camera"] },
    { type: "subscribe", role: "runtime", node, have },
    { type: "ack", nonce },
    { type: "ready", nonce },
    { type: "active", nonce },
    { type: "reject", nonce, reason: "no memory" },
    {
      type: "report",
      pipeline: "camera",
      revision: 1,
      stages: [{ node, computeMs: 3 }],
      transfers: [{ from: node, to: "edge-1", bytes: 10, transferMs: 2 }],
      busy: false,
    },
  ];
}

function mutate(text, other, below) {
  const at = below(text.length + 1);
  const far = below(1_000_000) < FAR_SHARE * 1_000_000 ? FAR : 1;
  switch (below(9)) {
    case 0: {
      const bytes = Buffer.from(text);
      const index = below(bytes.length);
      bytes[index] ^= 1 << below(8);
      return bytes;
    }
    case 1:
      return Buffer.from(text.slice(0, at));
    case 2:
      return Buffer.from(text.slice(0, at) + other.slice(below(other.length)));
    case 3:
      return Buffer.from(text.replace("{", '{"type":"ack","type":"subscribe",'));
    case 4:
      return Buffer.from("[".repeat(below(DEEP * far)) + text);
    case 5:
      return Buffer.from(
        text.replace(/:("[^"]*"|\d+)/, `:${ODD_VALUES[below(ODD_VALUES.length)]}`),
      );
    case 6:
      return Buffer.from(text.replace("{", '{"__proto__":{"role":"admin"},'));
    case 7:
      return Buffer.from(text.replace(/"[^"]*"\}/, `"${"x".repeat(below((LONG * far) / 2))}"}`));
    default: {
      const nested = `${'{"a":'.repeat(below(DEEP * far))}1`;
      return Buffer.from(text.replace(/:[^,]*/, `:${nested}`));
    }
  }
}
