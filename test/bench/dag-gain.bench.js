// What finer cuts are worth, on models with branches: per-layer times measured here with ONNX Runtime,
// SCALED so that each machine's total is the one in Scission's data (so the machines are Scission's,
// the distribution over layers is this machine's), over a sweep of bandwidths. The raw input stays on
// the device, else native plans win everywhere. Needs SCISSIOND_DATA. Arguments: names of models.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { benchmarkModel, benchmarkOptionsSchema } from "../../dist/benchmark/index.js";
import { silentLogger, systemClock } from "../../dist/core/index.js";
import { parseModel } from "../../dist/model/index.js";
import {
  constraintsSchema,
  graphOfProfile,
  partitionDag,
  rankPlans,
  SCISSION_COST_MODEL,
} from "../../dist/planner/index.js";
import { buildModel } from "../../dist/zoo/index.js";

const MODELS = ["inception_v3", "inceptionresnet_v2", "nasnetmobile", "densenet121"];
const MBPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const MS_PER_SECOND = 1_000;
/** "Exact DAG partitioning of hundreds of layers under 300 ms"; printed beside what is measured. */
const TARGET_MS = 300;

const data = process.env.SCISSIOND_DATA;
if (data === undefined) {
  console.error("# SCISSIOND_DATA is unset: left out");
  process.exit(0);
}

/** Vertices whose output is a cut point by Scission's rule: a running count of open branches is 0. */
function scissionCuts(graph) {
  const readers = graph.layers.map(() => 0);
  const sources = graph.layers.map(() => 0);
  for (const { producer, consumers } of graph.tensors) {
    if (producer !== null) readers[producer] += consumers.length;
    for (const consumer of consumers) if (producer !== null) sources[consumer] += 1;
  }
  const ends = [];
  let open = 0;
  for (let vertex = 0; vertex < graph.layers.length; vertex += 1) {
    if (readers[vertex] > 1) open += readers[vertex] - 1;
    if (sources[vertex] > 1) open -= sources[vertex] - 1;
    if (open === 0) ends.push(vertex);
  }
  return ends;
}

/** The problem with blocks that end at these vertices only. */
function merged(problem, ends) {
  const all = [...new Set([...ends, problem.blocks.length - 1])];
  const ranges = all.map((last, index) => ({ first: index === 0 ? 0 : all[index - 1] + 1, last }));
  return {
    ...problem,
    blocks: ranges.map(({ first, last }) => ({
      ...problem.blocks[last],
      firstLayer: problem.blocks[first].firstLayer,
    })),
    nodes: problem.nodes.map((node) => ({
      ...node,
      blockMs: ranges.map(({ first, last }) =>
        node.blockMs.slice(first, last + 1).reduce((sum, ms) => sum + ms, 0),
      ),
    })),
  };
}

/** Total milliseconds of a model on each of Scission's machines. */
function scissionTotals(model) {
  const home = join(data, "data", "scission");
  return readdirSync(home)
    .map((file) => ({ file, parts: /^(device|edge|cloud)-(.*)\.json$/.exec(file) }))
    .filter(({ parts }) => parts !== null)
    .map(({ file, parts: [, tier, name] }) => {
      const blocks = JSON.parse(readFileSync(join(home, file), "utf8"))[model];
      return { tier, name, totalMs: blocks.reduce((sum, b) => sum + b.seconds, 0) * MS_PER_SECOND };
    });
}

async function profileOf(name, directory) {
  const path = join(directory, `${name}.onnx`);
  writeFileSync(path, buildModel(name, { seed: 1, light: true }));
  const profile = await benchmarkModel(
    { path, node: { tier: "edge", name: "bench", hardwareClass: "bench" }, inputs: [] },
    benchmarkOptionsSchema.parse({
      repeats: 1,
      warmups: 1,
      maxCutTensors: 64,
      cutInsideFusions: true,
      blocksMax: 10_000,
    }),
    { log: silentLogger, clock: systemClock },
  );
  return { profile, model: parseModel(readFileSync(path)) };
}

async function compare(name, directory) {
  const { profile, model } = await profileOf(name, directory);
  const graph = graphOfProfile(profile, {
    layers: model.layers,
    inputs: model.inputs.map((input) => input.name),
  });
  const ownMs = profile.blocks.reduce((sum, block) => sum + block.medianMs, 0);
  const nodes = scissionTotals(name).map(({ tier, name: node, totalMs }) => ({
    tier,
    name: node,
    blockMs: profile.blocks.map((block) => (block.medianMs / ownMs) * totalMs),
  }));
  const inputs = new Set(model.inputs.map((input) => input.name));
  const base = {
    blocks: profile.blocks.map(({ firstLayer, lastLayer, outputBytes, cutTensors }) => ({
      firstLayer,
      lastLayer,
      outputBytes,
      carriesInput: cutTensors.some((tensor) => inputs.has(tensor.name)),
    })),
    inputBytes: profile.inputBytes,
    nodes,
    sources: nodes.filter((node) => node.tier === "device").map((node) => node.name),
    costModel: SCISSION_COST_MODEL,
    constraints: constraintsSchema.parse({ rawInputStaysOn: "device" }),
    topK: 1,
  };
  const single = profile.blocks.flatMap((block, index) =>
    block.cutTensors.length === 1 ? [index] : [],
  );
  const ends = { scission: scissionCuts(graph), single };
  const gains = [];
  for (const mbps of MBPS) {
    const problem = { ...base, links: linksOf(nodes, mbps) };
    const scissionMs = rankPlans(merged(problem, ends.scission)).plans[0].latencyMs;
    const singleMs = rankPlans(merged(problem, ends.single)).plans[0].latencyMs;
    const multiMs = rankPlans(problem).plans[0].latencyMs;
    const start = performance.now();
    const layersMs = partitionDag({ ...problem, graph }).latencyMs;
    const cutMs = performance.now() - start;
    gains.push(1 - layersMs / scissionMs);
    console.log(
      JSON.stringify({
        name: "dag-gain",
        model: name,
        mbps,
        vertices: graph.layers.length,
        cuts: { scission: ends.scission.length, single: ends.single.length },
        latencyMs: rounded({
          scission: scissionMs,
          single: singleMs,
          multi: multiMs,
          layers: layersMs,
        }),
        gainPercent: Number((100 * gains.at(-1)).toFixed(1)),
        minimumCutMs: Number(cutMs.toFixed(1)),
        targetMs: TARGET_MS,
      }),
    );
  }
}

/** Scission's pings; one bandwidth for what leaves the device, 50 Mbit/s between edge and cloud. */
function linksOf(nodes, mbps) {
  const of = (tier) => nodes.filter((node) => node.tier === tier).map((node) => node.name);
  const between = (froms, tos, link) =>
    froms.flatMap((from) => tos.map((to) => ({ from, to, ...link })));
  return [
    ...between(of("device"), of("edge"), { rttMs: 20, bandwidthMbps: mbps }),
    ...between(of("device"), of("cloud"), { rttMs: 45, bandwidthMbps: mbps }),
    ...between(of("edge"), of("cloud"), { rttMs: 20, bandwidthMbps: 50 }),
  ];
}

function rounded(values) {
  return Object.fromEntries(
    Object.entries(values).map(([key, ms]) => [key, Number(ms.toFixed(1))]),
  );
}

const directory = mkdtempSync(join(tmpdir(), "scissiond-dag-gain-"));
const wanted = process.argv.slice(2);
try {
  for (const name of MODELS) {
    if (wanted.length === 0 || wanted.includes(name)) await compare(name, directory);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
