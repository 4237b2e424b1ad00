// How long planning takes. Needs SCISSIOND_DATA for Scission's 18 models; the rest is synthetic.
import assert from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  buildQuery,
  connectLayers,
  constraintsSchema,
  loadProfiles,
  parseLinks,
  partitionDag,
  rankPlans,
  SCISSION_COST_MODEL,
} from "../../dist/planner/index.js";
import { seededRandom } from "../../dist/core/index.js";
import { enumerateConfigurations } from "./scission-enumeration.js";

const QUERY_MS_MAX = 5;
const SPEEDUP_MIN = 100;
const REPLAN_MS_MAX = 10;
const DAG_MS_MAX = 300;

function report(result) {
  console.log(JSON.stringify({ name: "planner", ...result }));
  if (result.ok === false) process.exitCode = 1;
}

/** Long enough for the compiler to be done with it, for us and for the peer alike. */
const WARM_UP_MS = 300;

/** Median and largest of repeats after a warm-up. */
function time(repeats, run) {
  const warmAtMs = performance.now() + WARM_UP_MS;
  do run();
  while (performance.now() < warmAtMs);
  const samples = Array.from({ length: repeats }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  return { medianMs: samples[samples.length >> 1], maxMs: samples.at(-1) };
}

function rounded(value) {
  return Number(value.toPrecision(4));
}

function scissionModels(directory) {
  const home = join(directory, "data", "scission");
  const files = readdirSync(home)
    .filter((name) => /^(device|edge|cloud)-.*\.json$/.test(name))
    .map((name) => ({ path: name, name, text: readFileSync(join(home, name), "utf8") }));
  const models = Object.keys(JSON.parse(files[0].text));
  for (const network of ["network_stats", "network_stats_wired"]) {
    const links = parseLinks({
      path: network,
      text: readFileSync(join(home, `${network}.csv`), "utf8"),
    });
    for (const model of models) benchModel({ files, links, model, network });
  }
}

function benchModel({ files, links, model, network }) {
  const { problem } = buildQuery(loadProfiles(files, model), links, {
    costModel: SCISSION_COST_MODEL,
    criteria: {},
    uploadMegabytes: {},
    times: {},
    inputBytes: 150_000,
    topK: 5,
    paths: [],
    objective: "latency",
    nodesFile: undefined,
    deadlineMs: undefined,
  });
  const systems = (tier) =>
    problem.nodes
      .filter((node) => node.tier === tier)
      .map(({ name, blockMs }) => ({
        name,
        seconds: blockMs.map((ms) => ms / 1_000),
        bytes: problem.blocks.map((block) => block.outputBytes),
      }));
  const original = {
    devices: systems("device"),
    edges: systems("edge"),
    clouds: systems("cloud"),
    links: new Map(
      links.map(({ from, to, rttMs, bandwidthMbps }) => [
        `${from} ${to}`,
        { ping: rttMs, mbps: bandwidthMbps },
      ]),
    ),
    inputBytes: 150_000,
    count: 5,
  };
  const ours = rankPlans(problem).plans;
  const theirs = enumerateConfigurations(original);
  for (const [index, { seconds }] of theirs.entries()) {
    assert(Math.abs(ours[index].latencyMs / 1_000 - seconds) < 1e-9 * seconds, `${model} ${index}`);
  }
  const own = time(100, () => rankPlans(problem));
  const enumeration = time(5, () => enumerateConfigurations(original));
  const speedup = enumeration.medianMs / own.medianMs;
  report({
    what: "query of Scission's data, top 5",
    model,
    network,
    blocks: problem.blocks.length,
    medianMs: rounded(own.medianMs),
    enumerationMs: rounded(enumeration.medianMs),
    speedup: rounded(speedup),
    ok: own.medianMs < QUERY_MS_MAX && (model !== "mobilenet" || speedup >= SPEEDUP_MIN),
  });
}

function syntheticProblem(blockCount, nodeCount, topK = 1) {
  const random = seededRandom(7);
  const tierOf = (index) => (index === 0 ? "device" : index % 2 === 1 ? "edge" : "cloud");
  const paceMs = { device: 10, edge: 3, cloud: 1 };
  const nodes = Array.from({ length: nodeCount }, (_, index) => ({
    name: `node-${index}`,
    tier: tierOf(index),
    blockMs: Array.from({ length: blockCount }, () => random() * paceMs[tierOf(index)]),
  }));
  const links = nodes.flatMap((from) =>
    nodes
      .filter((to) => to !== from)
      .map((to) => ({
        from: from.name,
        to: to.name,
        rttMs: random() * 20,
        bandwidthMbps: 10 + random() * 100,
      })),
  );
  return {
    blocks: Array.from({ length: blockCount }, (_, index) => ({
      firstLayer: index,
      lastLayer: index,
      outputBytes: Math.floor(random() * 1e6),
    })),
    inputBytes: 150_000,
    nodes,
    links,
    sources: ["node-0"],
    costModel: { rttFactor: 0.5, returnResult: true },
    constraints: constraintsSchema.parse({}),
    topK,
  };
}

function growth() {
  for (const [blocks, nodes] of [
    [10, 5],
    [100, 5],
    [1_000, 5],
    [5_000, 5],
    [100, 3],
    [100, 10],
    [100, 30],
    [100, 100],
  ]) {
    const problem = syntheticProblem(blocks, nodes);
    const { medianMs } = time(blocks * nodes > 5_000 ? 5 : 30, () => rankPlans(problem));
    report({ what: "best plan", blocks, nodes, medianMs: rounded(medianMs) });
  }
}

/** What a daemon does when a link changes: each pipeline is planned anew. */
function replanning() {
  const pipelines = 1_000;
  const base = syntheticProblem(30, 5);
  let turn = 0;
  const { medianMs } = time(5, () => {
    turn += 1;
    for (let pipeline = 0; pipeline < pipelines; pipeline += 1) {
      const links = base.links.map((link) => ({
        ...link,
        bandwidthMbps: link.bandwidthMbps * (1 + ((turn + pipeline) % 7) / 10),
      }));
      rankPlans({ ...base, links });
    }
  });
  report({
    what: "re-plan of 1,000 pipelines of 30 blocks on 5 nodes",
    medianMs: rounded(medianMs),
    perPipelineMs: rounded(medianMs / pipelines),
    ok: medianMs / pipelines < REPLAN_MS_MAX,
  });
}

/** Modules of four branches, as Inception has them; tensors shrink towards the end. */
function branchedProblem(layerCount) {
  const random = seededRandom(11);
  const layers = [];
  const bytes = new Map([["in", 600_000]]);
  const add = (inputs) => {
    const index = layers.length;
    const name = `v${index}`;
    layers.push({ firstLayer: index, lastLayer: index, inputs, outputs: [name] });
    const shrinking = Math.max(0.05, 1 - index / layerCount);
    bytes.set(name, Math.floor(10_000 + random() * 1_000_000 * shrinking));
    return name;
  };
  let last = "in";
  while (layers.length < layerCount - 17) {
    const branches = Array.from({ length: 4 }, () => {
      let end = last;
      for (let depth = Math.floor(random() * 4); depth >= 0; depth -= 1) end = add([end]);
      return end;
    });
    last = add(branches);
  }
  while (layers.length < layerCount) last = add([last]);
  const graph = connectLayers(layers, { inputs: ["in"], outputs: [last], bytes });
  const { nodes, links, sources, costModel } = syntheticProblem(layerCount, 5);
  const constraints = constraintsSchema.parse({ rawInputStaysOn: "device" });
  return { graph, nodes, links, sources, costModel, constraints };
}

function dagCuts() {
  for (const layers of [100, 300, 800, 2_000, 5_000]) {
    const problem = branchedProblem(layers);
    const { medianMs } = time(3, () => partitionDag(problem));
    report({
      what: "exact partitioning by layers, 1 device, 2 edges, 2 clouds",
      layers,
      medianMs: rounded(medianMs),
      ok: layers > 1_000 || medianMs < DAG_MS_MAX,
    });
  }
}

const directory = process.env.SCISSIOND_DATA;
if (directory === undefined)
  console.error("# SCISSIOND_DATA is unset: Scission's models are left out");
else scissionModels(directory);
growth();
replanning();
dagCuts();
