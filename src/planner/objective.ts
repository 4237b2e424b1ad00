import { AppError } from "../core/index.js";
import type { Field } from "./field.js";
import type { Objective } from "./options.js";
import type { PlanningLink, PlanningNode, PlanningProblem } from "./problem.js";
import type { Arc } from "./routes.js";
import {
  computeJoules,
  computePrice,
  type Tariff,
  type Ticked,
  tariffWeights,
  transferJoules,
  transferMs,
  transferPrice,
} from "./weights.js";

const MS_PER_SECOND = 1_000;

/** Predicted latency, in ticks. */
export function latencyWeights(problem: PlanningProblem, field: Field): Ticked {
  return tariffWeights(problem, field, latencyTariff(problem));
}

function latencyTariff({ costModel }: PlanningProblem): Tariff {
  return {
    compute: (_node, ms) => ms,
    transfer: (link, bytes) => transferMs(link, bytes, costModel),
  };
}

// `requireData` has seen that everything is known where these are used.
const ENERGY: Tariff = {
  compute: (node, ms) => computeJoules(node, ms) ?? 0,
  transfer: (link, bytes) => transferJoules(link, bytes) ?? 0,
};
const PRICE: Tariff = {
  compute: (node, ms) => computePrice(node, ms) ?? 0,
  transfer: (link, bytes) => transferPrice(link, bytes) ?? 0,
};

/**
 * The sum that plans are ranked by in front of their latency; undefined where that is latency itself
 * or no sum. Throws USAGE, naming the field, where nodes or links lack the data.
 */
export function objectiveWeights(problem: PlanningProblem, field: Field): Ticked | undefined {
  const { objective = "latency" } = problem;
  switch (objective) {
    case "latency":
    case "throughput":
      return undefined;
    case "energy":
      return energyWeights(problem, field);
    case "cost":
      return priceWeights(problem, field);
    default:
      return weightedWeights(problem, field, objective);
  }
}

/** Throws USAGE where a node or link has no data on its energy. */
export function energyWeights(problem: PlanningProblem, field: Field): Ticked {
  requireData(field, "energy", ENERGY_FIELDS);
  return tariffWeights(problem, field, ENERGY);
}

/** Throws USAGE where a node or link has no price. */
export function priceWeights(problem: PlanningProblem, field: Field): Ticked {
  requireData(field, "cost", PRICE_FIELDS);
  return tariffWeights(problem, field, PRICE);
}

function weightedWeights(
  problem: PlanningProblem,
  field: Field,
  weights: Exclude<Objective, string>,
): Ticked {
  if (weights.energy > 0) requireData(field, "energy", ENERGY_FIELDS);
  if (weights.cost > 0) requireData(field, "cost", PRICE_FIELDS);
  const latency = latencyTariff(problem);
  const parts: { weight: number; tariff: Tariff }[] = [
    { weight: weights.latency / MS_PER_SECOND, tariff: latency },
    { weight: weights.energy, tariff: ENERGY },
    { weight: weights.cost, tariff: PRICE },
  ];
  return tariffWeights(problem, field, {
    compute: (node, ms) =>
      parts.reduce((sum, { weight, tariff }) => sum + weight * tariff.compute(node, ms), 0),
    transfer: (link, bytes) =>
      parts.reduce((sum, { weight, tariff }) => sum + weight * tariff.transfer(link, bytes), 0),
  });
}

interface Fields {
  node: keyof PlanningNode & ("activeWatts" | "pricePerHour");
  link: keyof PlanningLink & ("joulesPerMegabyte" | "pricePerGigabyte");
}

const ENERGY_FIELDS: Fields = { node: "activeWatts", link: "joulesPerMegabyte" };
const PRICE_FIELDS: Fields = { node: "pricePerHour", link: "pricePerGigabyte" };

export function hasEnergyData(field: Field): boolean {
  return missingData(field, ENERGY_FIELDS) === undefined;
}

export function hasPriceData(field: Field): boolean {
  return missingData(field, PRICE_FIELDS) === undefined;
}

function requireData(field: Field, objective: string, fields: Fields): void {
  const missing = missingData(field, fields);
  if (missing === undefined) return;
  throw new AppError(
    "USAGE",
    `objective ${objective}: ${missing}; add it, or exclude what lacks it`,
  );
}

/** The first field that a node or link which plans can use does not have. */
function missingData({ routes }: Field, fields: Fields): string | undefined {
  for (const { node } of routes.stops) {
    if (node[fields.node] === undefined) return `node ${node.name} has no ${fields.node}`;
  }
  const arcs: (Arc | undefined)[] = [
    ...routes.starts,
    ...routes.stops.flatMap((stop) => [...stop.next, stop.end]),
  ];
  for (const arc of arcs) {
    const link = arc?.link;
    if (link !== undefined && link[fields.link] === undefined) {
      return `link ${link.from} → ${link.to} has no ${fields.link}`;
    }
  }
  return undefined;
}
