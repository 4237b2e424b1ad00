import { z } from "zod";
import { AppError, printable, suggestion } from "../../core/index.js";
import { parseJson } from "../../protocol/index.js";
import type { PlanningLink, PlanningNode } from "../problem.js";

const ENTRIES_MAX = 100_000;

const nameSchema = z.string().min(1).max(200);
const rateSchema = z.number().nonnegative().optional();

const nodeDataSchema = z.strictObject({
  activeWatts: rateSchema,
  memoryBytes: rateSchema,
  pricePerHour: rateSchema,
});

const nodesDocumentSchema = z.strictObject({
  nodes: z
    .union([
      z.array(z.strictObject({ name: nameSchema, ...nodeDataSchema.shape })).max(ENTRIES_MAX),
      z
        .record(nameSchema, nodeDataSchema)
        .transform((nodes) => Object.entries(nodes).map(([name, data]) => ({ name, ...data }))),
    ])
    .default([]),
  links: z
    .array(
      z.strictObject({
        from: nameSchema,
        to: nameSchema,
        joulesPerMegabyte: rateSchema,
        pricePerGigabyte: rateSchema,
      }),
    )
    .max(ENTRIES_MAX)
    .default([]),
});

/** What nodes and links have beside their speed. */
export interface NodesFile {
  nodes: readonly (Pick<PlanningNode, "activeWatts" | "memoryBytes" | "pricePerHour"> & {
    name: string;
  })[];
  links: readonly (Pick<PlanningLink, "joulesPerMegabyte" | "pricePerGigabyte"> & {
    from: string;
    to: string;
  })[];
}

/**
 * Reads `{"nodes": [{"name", "activeWatts", "memoryBytes", "pricePerHour"}], "links": [{"from", "to",
 * "joulesPerMegabyte", "pricePerGigabyte"}]}`; `nodes` may be an object by name as well. `known` are
 * the names that exist. Throws USAGE, naming file and entry.
 */
export function parseNodesFile(
  file: { path: string; text: string },
  known: readonly string[],
): NodesFile {
  const parsed = parseJson(file.text, nodesDocumentSchema);
  if (!parsed.ok) throw new AppError("USAGE", `${file.path}: ${parsed.message}`);
  const { nodes, links } = parsed.value;
  const seen = new Set<string>();
  for (const { name } of nodes) {
    if (seen.has(name)) {
      throw new AppError(
        "USAGE",
        `${file.path}: node ${printable(name, 80)} occurs twice; keep one`,
      );
    }
    seen.add(name);
  }
  for (const name of [...seen, ...links.flatMap(({ from, to }) => [from, to])]) {
    if (known.includes(name)) continue;
    const hint = suggestion(name, known) || "; add its profile or remove it";
    throw new AppError("USAGE", `${file.path}: no node is named "${printable(name, 80)}"${hint}`);
  }
  return { nodes: nodes.map(withoutUndefined), links: links.map(withoutUndefined) };
}

function withoutUndefined<T extends object>(
  entry: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(entry).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Adds the data of a nodes file to the nodes and links that it names. */
export function withNodesFile<
  T extends { nodes: readonly PlanningNode[]; links: readonly PlanningLink[] },
>(situation: T, file: NodesFile): T {
  const nodeData = new Map(file.nodes.map((entry) => [entry.name, entry]));
  const linkData = new Map(file.links.map((entry) => [linkName(entry), entry]));
  return {
    ...situation,
    nodes: situation.nodes.map((node) => ({ ...node, ...nodeData.get(node.name) })),
    links: situation.links.map((link) => ({ ...link, ...linkData.get(linkName(link)) })),
  };
}

function linkName({ from, to }: { from: string; to: string }): string {
  return JSON.stringify([from, to]);
}
