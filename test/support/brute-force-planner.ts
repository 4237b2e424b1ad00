import type {
  Constraints,
  PlanningNode,
  PlanningProblem,
  RankedPlan,
} from "../../src/planner/index.js";

const TIER_RANK = { device: 0, edge: 1, cloud: 2 };

/** A plan as the oracle sees it. */
interface Candidate {
  source: string;
  /** The node of each block. */
  nodes: readonly PlanningNode[];
  latencyMs: number;
  longestMs: number;
  millijoules: number;
  price: number;
  bytes: number;
  runs: { node: PlanningNode; first: number; last: number; ms: number }[];
}

/**
 * Tries every node for every block and every source, keeps what the constraints allow and sorts it by
 * the documented order. Written from the definition of a plan alone; shares no code with the planner.
 */
export function bruteForcePlans(problem: PlanningProblem): string[] {
  const order = (a: Candidate, b: Candidate): number =>
    score(problem, a) - score(problem, b) || compare(a, b);
  return candidates(problem).sort(order).slice(0, problem.topK).map(describeCandidate);
}

/** The plans that no other beats in one criterion without losing in another; of equals the first. */
export function bruteForceFront(problem: PlanningProblem): string[] {
  const criteria = (plan: Candidate): number[] => [
    plan.latencyMs,
    plan.longestMs,
    plan.millijoules,
    plan.price,
  ];
  const front: Candidate[] = [];
  for (const plan of candidates(problem).sort(compare)) {
    const own = criteria(plan);
    const isBeaten = front.some((other) =>
      criteria(other).every((value, index) => value <= own[index]!),
    );
    if (!isBeaten) front.push(plan);
  }
  return front.map(describeCandidate);
}

function score({ objective = "latency" }: PlanningProblem, plan: Candidate): number {
  if (objective === "latency") return plan.latencyMs;
  if (objective === "throughput") return plan.longestMs;
  if (objective === "energy") return plan.millijoules;
  if (objective === "cost") return plan.price;
  return (
    (objective.latency / 1_000) * plan.latencyMs +
    (objective.energy / 1_000) * plan.millijoules +
    objective.cost * plan.price
  );
}

function candidates(problem: PlanningProblem): Candidate[] {
  const found: Candidate[] = [];
  for (const source of problem.sources) {
    for (const nodes of assignments(problem.nodes, problem.blocks.length)) {
      const candidate = evaluate(problem, source, nodes);
      if (candidate !== undefined && isAllowed(problem, candidate)) found.push(candidate);
    }
  }
  return found;
}

/** The same line for a plan of the planner, to compare. */
export function describePlan(plan: RankedPlan): string {
  const runs = plan.partitions.map((part) => `${part.node}:${part.firstBlock}-${part.lastBlock}`);
  return `${plan.source} ${runs.join(" ")} ${plan.latencyMs} ms ${plan.transferBytes} bytes`;
}

function describeCandidate({ source, runs, latencyMs, bytes }: Candidate): string {
  const parts = runs.map(({ node, first, last }) => `${node.name}:${first}-${last}`);
  return `${source} ${parts.join(" ")} ${latencyMs} ms ${bytes} bytes`;
}

function* assignments(nodes: readonly PlanningNode[], length: number): Generator<PlanningNode[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const first of nodes) {
    for (const rest of assignments(nodes, length - 1)) yield [first, ...rest];
  }
}

function evaluate(
  problem: PlanningProblem,
  source: string,
  nodes: readonly PlanningNode[],
): Candidate | undefined {
  const runs: Candidate["runs"] = [];
  for (const [block, node] of nodes.entries()) {
    const run = runs.at(-1);
    const ms = node.blockMs[block]!;
    if (run?.node === node) {
      run.last = block;
      run.ms += ms;
    } else runs.push({ node, first: block, last: block, ms });
  }
  for (const run of runs) {
    const measured = run.node.measured?.find(
      ({ firstLayer, lastLayer }) =>
        firstLayer === problem.blocks[run.first]!.firstLayer &&
        lastLayer === problem.blocks[run.last]!.lastLayer,
    );
    if (measured !== undefined) run.ms = measured.ms;
    else if (problem.onlyMeasured === true) return undefined;
    else run.ms *= run.node.estimateFactor ?? 1;
  }
  const places = [source, ...runs.map(({ node }) => node.name)];
  const sizes = [problem.inputBytes, ...runs.map(({ last }) => problem.blocks[last]!.outputBytes)];
  if (problem.costModel.returnResult) places.push(source);
  let latencyMs = runs.reduce((sum, run) => sum + run.ms, 0);
  let longestMs = Math.max(...runs.map((run) => run.ms));
  let millijoules = runs.reduce((sum, { ms, node }) => sum + ms * node.activeWatts!, 0);
  let price = runs.reduce((sum, { ms, node }) => sum + ms * (node.pricePerHour! / 3.6e6), 0);
  let bytes = 0;
  for (const [index, to] of places.slice(1).entries()) {
    const from = places[index]!;
    if (from === to) continue;
    const link = problem.links.find((one) => one.from === from && one.to === to);
    if (link === undefined) return undefined;
    const size = sizes[index]!;
    const ms = problem.costModel.rttFactor * link.rttMs + size / (link.bandwidthMbps / 0.008);
    latencyMs += ms;
    longestMs = Math.max(longestMs, ms);
    millijoules += size * (link.joulesPerMegabyte! / 1e3);
    price += size * (link.pricePerGigabyte! / 1e9);
    bytes += size;
  }
  return { source, nodes, latencyMs, longestMs, millijoules, price, bytes, runs };
}

function isAllowed(problem: PlanningProblem, candidate: Candidate): boolean {
  const { constraints } = problem;
  const names = candidate.runs.map(({ node }) => node.name);
  const order =
    problem.paths === undefined
      ? candidate.runs.every(({ node }, index) => {
          const previous = candidate.runs[index - 1];
          const rises =
            previous === undefined || TIER_RANK[previous.node.tier] < TIER_RANK[node.tier];
          return rises && (node.tier !== "device" || node.name === candidate.source);
        })
      : problem.paths.some((path) => mayTake(problem, path, candidate));
  const held = Math.max(
    constraints.minBlocksOnDevice,
    constraints.rawInputStaysOn === "device" ? inputBlocks(problem) : 0,
  );
  return (
    order &&
    candidate.nodes.slice(0, held).every((node) => node.name === candidate.source) &&
    names.every((name) => !constraints.nodes.exclude.includes(name)) &&
    constraints.nodes.require.every((name) => names.includes(name)) &&
    (constraints.latencyMsMax === undefined || candidate.latencyMs <= constraints.latencyMsMax) &&
    (["device", "edge", "cloud"] as const).every((tier) => tierAllows(problem, candidate, tier)) &&
    problem.nodes.every((node) => fits(problem, candidate, node)) &&
    constraints.limits.every((limits) =>
      placementAllows(problem, candidate, { ...limits, covers: (name) => name === limits.node }),
    )
  );
}

/** Blocks up to the first cut that the raw input does not cross. */
function inputBlocks({ blocks }: PlanningProblem): number {
  let count = 1;
  while (count < blocks.length && blocks[count - 1]!.carriesInput === true) count += 1;
  return count;
}

function fits(problem: PlanningProblem, candidate: Candidate, node: PlanningNode): boolean {
  const sizes = [problem.inputBytes, ...problem.blocks.map((block) => block.outputBytes)];
  let weights = 0;
  let tensors = 0;
  for (const [index, block] of problem.blocks.entries()) {
    if (candidate.nodes[index] !== node) continue;
    weights += block.weightBytes!;
    tensors = Math.max(tensors, sizes[index]! + sizes[index + 1]!);
  }
  return weights + tensors <= node.memoryBytes!;
}

function mayTake(
  problem: PlanningProblem,
  path: readonly string[],
  { source, runs }: Candidate,
): boolean {
  const names = runs.map(({ node }) => node.name);
  const first = problem.nodes.find((node) => node.name === path[0]);
  if (first?.tier === "device" && first.name !== source) return false;
  let at = 0;
  for (const name of path) if (name === names[at]) at += 1;
  return at === names.length;
}

function tierAllows(
  problem: PlanningProblem,
  candidate: Candidate,
  tier: "device" | "edge" | "cloud",
): boolean {
  const own = problem.constraints[tier];
  const used = candidate.nodes.filter((node) => node.tier === tier);
  if (own.use === "never" && used.length > 0) return false;
  if (own.use === "must" && used.length === 0) return false;
  if (own.nodes.length > 0 && !used.some((node) => own.nodes.includes(node.name))) return false;
  const isInTier = (name: string): boolean =>
    (problem.nodes.find((node) => node.name === name)?.tier ?? "device") === tier;
  return placementAllows(problem, candidate, { ...own, covers: isInTier });
}

function placementAllows(
  problem: PlanningProblem,
  candidate: Candidate,
  own: Omit<Constraints["edge"], "use" | "nodes"> & { covers: (name: string) => boolean },
): boolean {
  const { covers } = own;
  const runsLayer = (layer: number): boolean =>
    problem.blocks.some(
      (block, index) =>
        block.firstLayer <= layer &&
        layer <= block.lastLayer &&
        covers(candidate.nodes[index]!.name),
    );
  const places = [candidate.source, ...candidate.runs.map(({ node }) => node.name)];
  let upload = 0;
  for (const [index, { node, first }] of candidate.runs.entries()) {
    const from = places[index]!;
    const size = first === 0 ? problem.inputBytes : problem.blocks[first - 1]!.outputBytes;
    if (from !== node.name && covers(from)) upload += size;
  }
  const allMs = candidate.runs.reduce((sum, run) => sum + run.ms, 0);
  const ownMs = candidate.runs
    .filter(({ node }) => covers(node.name))
    .reduce((sum, run) => sum + run.ms, 0);
  return (
    own.mustRunLayers.every(runsLayer) &&
    !own.mustNotRunLayers.some(runsLayer) &&
    (own.uploadBytesMax === undefined || upload <= own.uploadBytesMax) &&
    (own.computeMsMax === undefined || ownMs <= own.computeMsMax) &&
    (own.computePercentMax === undefined || ownMs * 100 <= own.computePercentMax * allMs)
  );
}

function compare(a: Candidate, b: Candidate): number {
  const byRank = a.latencyMs - b.latencyMs || a.runs.length - b.runs.length || a.bytes - b.bytes;
  if (byRank !== 0) return byRank;
  if (a.source !== b.source) return a.source < b.source ? -1 : 1;
  for (const [block, node] of a.nodes.entries()) {
    const other = b.nodes[block]!;
    const byTier = TIER_RANK[node.tier] - TIER_RANK[other.tier];
    if (byTier !== 0) return byTier;
    if (node.name !== other.name) return node.name < other.name ? -1 : 1;
  }
  return 0;
}
