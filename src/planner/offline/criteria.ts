import { AppError, printable, suggestion } from "../../core/index.js";
import type { Tier } from "../../protocol/index.js";

/** What one of `--device`, `--edge` and `--cloud` asks for. */
export interface Criteria {
  /** `!-1`: the tier must be used. */
  isRequired: boolean;
  /** `-1`: the tier must not be used. */
  isForbidden: boolean;
  mustRunLayers: number[];
  mustNotRunLayers: number[];
  /** One of these must be used. */
  includedNodes: string[];
  excludedNodes: string[];
}

type Item =
  | { kind: "tier"; isExcluded: boolean }
  | { kind: "layer"; layer: number; isExcluded: boolean }
  | { kind: "node"; node: string; isExcluded: boolean };

const ITEMS_MAX = 10_000;
const LAYER_MAX = 1_000_000_000;

/**
 * Parses Scission's notation, items joined by commas: `3` the layer runs here, `!10` it does not,
 * `raspi4` this node is used, `!raspi4` it is not, `-1` the tier is not used, `!-1` it is. Digits are
 * a node where `nodes` has one so named, else a layer; `node:2500` and `layer:2500` are unambiguous.
 * Throws USAGE for empty items and unknown nodes.
 */
export function parseCriteria(
  text: string,
  tier: Tier,
  nodes: readonly { name: string; tier: Tier }[],
): Criteria {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length > ITEMS_MAX) throw wrong(tier, text, `has more than ${ITEMS_MAX} items`);
  const items = parts.map((part) => parseItem(part, { text, tier, nodes }));
  const layers = (isExcluded: boolean): number[] =>
    items.flatMap((item) =>
      item.kind === "layer" && item.isExcluded === isExcluded ? [item.layer] : [],
    );
  const names = (isExcluded: boolean): string[] =>
    items.flatMap((item) =>
      item.kind === "node" && item.isExcluded === isExcluded ? [item.node] : [],
    );
  return {
    isRequired: items.some((item) => item.kind === "tier" && item.isExcluded),
    isForbidden: items.some((item) => item.kind === "tier" && !item.isExcluded),
    mustRunLayers: layers(false),
    mustNotRunLayers: layers(true),
    includedNodes: names(false),
    excludedNodes: names(true),
  };
}

interface Scope {
  text: string;
  tier: Tier;
  nodes: readonly { name: string; tier: Tier }[];
}

function parseItem(part: string, scope: Scope): Item {
  const isExcluded = part.startsWith("!");
  const what = (isExcluded ? part.slice(1) : part).trim();
  if (what === "") throw wrong(scope.tier, scope.text, "has an empty item; remove a comma");
  if (what === "-1") return { kind: "tier", isExcluded };
  if (what.startsWith("layer:")) {
    const layer = layerNumber(what.slice("layer:".length));
    if (layer !== undefined) return { kind: "layer", layer, isExcluded };
    throw wrong(scope.tier, scope.text, `${quoted(what)} needs a layer's number after the colon`);
  }
  if (what.startsWith("node:")) {
    const node = what.slice("node:".length);
    if (isKnown(node, scope)) return { kind: "node", node, isExcluded };
    throw unknownNode(node, scope);
  }
  if (isKnown(what, scope)) return { kind: "node", node: what, isExcluded };
  const layer = layerNumber(what);
  if (layer !== undefined) return { kind: "layer", layer, isExcluded };
  throw unknownNode(what, scope);
}

function isKnown(name: string, { tier, nodes }: Scope): boolean {
  return nodes.some((node) => node.tier === tier && node.name === name);
}

function layerNumber(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  return Math.min(Number(text), LAYER_MAX);
}

function unknownNode(name: string, { text, tier, nodes }: Scope): AppError {
  const elsewhere = nodes.find((node) => node.name === name);
  if (elsewhere !== undefined) {
    return wrong(
      tier,
      text,
      `${quoted(name)} is a ${elsewhere.tier} node; name it with --${elsewhere.tier}`,
    );
  }
  const known = nodes.filter((node) => node.tier === tier).map((node) => node.name);
  const listed =
    known.length === 0 ? `there are no ${tier} nodes` : `the ${tier} nodes are ${known.join(", ")}`;
  const hint = suggestion(name, known);
  return wrong(tier, text, `no ${tier} node is named ${quoted(name)}${hint || `; ${listed}`}`);
}

function wrong(tier: Tier, text: string, problem: string): AppError {
  return new AppError("USAGE", `--${tier} ${quoted(text)}: ${problem}`);
}

function quoted(text: string): string {
  return `"${printable(text, 80)}"`;
}
