import { AppError, printable, suggestion } from "../../core/index.js";
import { TIERS, type Tier } from "../../protocol/index.js";
import { type Constraints, type CostModel, constraintsSchema, type Objective } from "../options.js";
import type { PlanningLink, PlanningProblem } from "../problem.js";
import { type Criteria, parseCriteria } from "./criteria.js";
import { type NodesFile, withNodesFile } from "./nodes-file.js";
import type { ProfileSet } from "./profiles.js";

/** Scission's own default: a compressed image. */
export const SCISSION_INPUT_BYTES = 150_000;
const BYTES_PER_MEGABYTE = 1_000_000;
const MS_PER_SECOND = 1_000;
const UNKNOWN_NAMES_SHOWN_MAX = 5;

/** An offline query as the command line words it; texts are in Scission's notation. */
export interface QueryOptions {
  costModel: CostModel;
  criteria: Partial<Record<Tier, string | undefined>>;
  /** Megabytes (10^6 bytes) that a tier may send onward. */
  uploadMegabytes: Partial<Record<Tier, number | undefined>>;
  /** "1.5" seconds or "50%" of all computing. */
  times: Partial<Record<Tier, string | undefined>>;
  inputBytes: number | undefined;
  topK: number;
  /** "cam-1,edge-1,gpu-1": orders that data may take. */
  paths: readonly string[];
  objective: Objective;
  nodesFile: NodesFile | undefined;
  deadlineMs: number | undefined;
}

export interface Query {
  problem: PlanningProblem;
  /** Criteria that no plan can meet, as the reason; undefined where there are none. */
  contradiction: string | undefined;
  notes: readonly string[];
}

/** Puts profiles, links and options together. Throws USAGE for names and numbers that make no sense. */
export function buildQuery(
  profiles: ProfileSet,
  links: readonly PlanningLink[],
  options: QueryOptions,
): Query {
  const blocks = profiles.blocks.map(({ firstLayer, lastLayer, outputBytes }) => ({
    firstLayer,
    lastLayer,
    outputBytes,
  }));
  const criteria = new Map<Tier, Criteria>();
  for (const tier of TIERS) {
    const text = options.criteria[tier];
    if (text !== undefined) criteria.set(tier, parseCriteria(text, tier, profiles.nodes));
  }
  const { nodesFile } = options;
  const enrich = <T extends Pick<PlanningProblem, "nodes" | "links">>(part: T): T =>
    nodesFile === undefined ? part : withNodesFile(part, nodesFile);
  const there = enrich({ nodes: profiles.nodes, links });
  const back = options.costModel.returnResult ? waysBack(profiles, there.links) : [];
  const sources = sourcesOf(profiles, links);
  const paths = options.paths.map((text) => parsePath(text, profiles));
  const notes = [...profiles.notes, ...unknownEnds(profiles, links, sources)];
  if (back.length > 0) {
    notes.push(
      `${back.length} links have no way back in the file; the result is taken to return as fast as data goes`,
    );
  }
  return {
    problem: {
      blocks,
      inputBytes: options.inputBytes ?? profiles.inputBytes ?? SCISSION_INPUT_BYTES,
      nodes: there.nodes,
      links: [...there.links, ...enrich({ nodes: [], links: back }).links],
      sources,
      costModel: options.costModel,
      constraints: constraintsOf(criteria, options),
      topK: options.topK,
      ...(paths.length === 0 ? {} : { paths }),
      objective: options.objective,
    },
    contradiction: contradictionIn(criteria),
    notes,
  };
}

function constraintsOf(criteria: ReadonlyMap<Tier, Criteria>, options: QueryOptions): Constraints {
  const excluded = [...criteria.values()].flatMap(({ excludedNodes }) => excludedNodes);
  const tiers = TIERS.map((tier) => [tier, tierConstraints(tier, criteria.get(tier), options)]);
  return constraintsSchema.parse({
    nodes: { exclude: excluded },
    ...(options.deadlineMs === undefined ? {} : { latencyMsMax: options.deadlineMs }),
    ...Object.fromEntries(tiers),
  });
}

function tierConstraints(
  tier: Tier,
  criteria: Criteria | undefined,
  options: QueryOptions,
): Record<string, unknown> {
  const megabytes = options.uploadMegabytes[tier];
  const time = options.times[tier];
  return {
    ...(criteria?.isForbidden === true ? { use: "never" } : {}),
    ...(criteria?.isRequired === true ? { use: "must" } : {}),
    nodes: criteria?.includedNodes ?? [],
    mustRunLayers: criteria?.mustRunLayers ?? [],
    mustNotRunLayers: criteria?.mustNotRunLayers ?? [],
    ...(megabytes === undefined ? {} : { uploadBytesMax: megabytes * BYTES_PER_MEGABYTE }),
    ...(time === undefined ? {} : parseTime(tier, time)),
  };
}

function parseTime(tier: Tier, text: string): Record<string, number> {
  const isPercent = text.trim().endsWith("%");
  const digits = isPercent ? text.trim().slice(0, -1) : text.trim();
  const value = digits === "" ? NaN : Number(digits);
  if (!Number.isFinite(value) || value < 0 || (isPercent && value > 100)) {
    throw new AppError(
      "USAGE",
      `--${tier}-time "${printable(text, 40)}": give seconds, such as 1.5, or a share from 0% to 100%`,
    );
  }
  return isPercent ? { computePercentMax: value } : { computeMsMax: value * MS_PER_SECOND };
}

/** What criteria of one tier ask for and forbid at once. */
function contradictionIn(criteria: ReadonlyMap<Tier, Criteria>): string | undefined {
  for (const [tier, own] of criteria) {
    const layer = own.mustRunLayers.find((one) => own.mustNotRunLayers.includes(one));
    const node = own.includedNodes.find((one) => own.excludedNodes.includes(one));
    const clash =
      own.isForbidden && own.isRequired
        ? "the tier must be used and must not be used; drop -1 or !-1"
        : layer !== undefined
          ? `layer ${layer} must run here and must not; drop one of the two`
          : node !== undefined && own.includedNodes.every((one) => own.excludedNodes.includes(one))
            ? `${printable(node, 80)} must be used and must not; drop one of the two`
            : undefined;
    if (clash !== undefined) return `--${tier}: ${clash}`;
  }
  return undefined;
}

function parsePath(text: string, { nodes }: ProfileSet): string[] {
  const names = text.split(",").map((name) => name.trim());
  const known = nodes.map((node) => node.name);
  for (const [index, name] of names.entries()) {
    if (!known.includes(name)) {
      const hint = suggestion(name, known) || `; the nodes are ${known.join(", ")}`;
      throw new AppError(
        "USAGE",
        `--path "${printable(text, 80)}": no node is named "${printable(name, 80)}"${hint}`,
      );
    }
    if (names[index - 1] === name) {
      throw new AppError("USAGE", `--path "${printable(text, 80)}": ${name} follows itself`);
    }
  }
  return names;
}

/** Every device; without one, whatever only sends. */
function sourcesOf({ nodes }: ProfileSet, links: readonly PlanningLink[]): string[] {
  const devices = nodes.filter((node) => node.tier === "device").map((node) => node.name);
  if (devices.length > 0) return devices;
  const known = new Set(nodes.map((node) => node.name));
  return [...new Set(links.map((link) => link.from))].filter((name) => !known.has(name));
}

/** For each link up the tiers whose opposite is unknown, the same link downwards. */
function waysBack(profiles: ProfileSet, links: readonly PlanningLink[]): PlanningLink[] {
  const rankOf = (name: string): number => {
    const node = profiles.nodes.find((candidate) => candidate.name === name);
    return node === undefined ? 0 : TIERS.indexOf(node.tier);
  };
  const known = new Set(links.map((link) => JSON.stringify([link.from, link.to])));
  return links
    .filter((link) => rankOf(link.from) < rankOf(link.to))
    .filter((link) => !known.has(JSON.stringify([link.to, link.from])))
    .map((link) => ({ ...link, from: link.to, to: link.from }));
}

function unknownEnds(
  { nodes }: ProfileSet,
  links: readonly PlanningLink[],
  sources: readonly string[],
): string[] {
  const names = nodes.map((node) => node.name);
  const known = new Set([...names, ...sources]);
  const unknown = new Set(
    links.flatMap(({ from, to }) => [from, to]).filter((name) => !known.has(name)),
  );
  return [...unknown]
    .slice(0, UNKNOWN_NAMES_SHOWN_MAX)
    .map(
      (name) =>
        `links name ${printable(name, 80)}, which has no profile here${suggestion(name, names)}`,
    );
}
