import { describe, expect, it } from "vitest";
import { isAppError } from "../../src/core/index.js";
import {
  buildQuery,
  costModelSchema,
  loadProfiles,
  parseLinks,
  parseNodesFile,
  parseObjective,
  type QueryOptions,
  rankPlans,
  type TextFile,
} from "../../src/planner/index.js";

const SHA256 = "ab".repeat(32);

/** A file of Scission's measurements with one model of three blocks. */
function scissionFile(name: string, change: object = {}): TextFile {
  const block = (layer: number) => ({
    inputLayer: layer,
    outputLayer: layer,
    seconds: 0.01,
    outputBytes: 1_000,
  });
  const blocks = [block(0), { ...block(1), ...change }, block(2)];
  return { path: `dir/${name}`, name, text: JSON.stringify({ net: blocks, other: [block(0)] }) };
}

function ownFile(
  name: string,
  node: { tier: string; name: string },
  change: object = {},
): TextFile {
  const blocks = [0, 1, 2].map((layer) => ({
    index: layer,
    firstLayer: layer,
    lastLayer: layer,
    medianMs: 10,
    outputBytes: 1_000,
  }));
  const profile = {
    model: { name: "net", sha256: SHA256 },
    node,
    inputBytes: 5_000,
    blocks,
    ...change,
  };
  return { path: `dir/${name}`, name, text: JSON.stringify(profile) };
}

const THREE = ["device-cam.json", "edge-2500.json", "cloud-gpu.v1.json"].map((name) =>
  scissionFile(name),
);
const LINKS = parseLinks({
  path: "l.csv",
  text: "cam,2500,1,10\ncam,gpu.v1,1,10\n2500,gpu.v1,1,10\n",
});

const OPTIONS: QueryOptions = {
  costModel: costModelSchema.parse({}),
  criteria: {},
  uploadMegabytes: {},
  times: {},
  inputBytes: undefined,
  topK: 100,
  paths: [],
  objective: "latency",
  nodesFile: undefined,
  deadlineMs: undefined,
};

function messageOf(run: () => unknown, code: string): string {
  try {
    run();
  } catch (error) {
    expect(isAppError(error)).toBe(true);
    expect((error as { code: string }).code).toBe(code);
    return (error as Error).message;
  }
  throw new Error("it did not throw");
}

describe("loadProfiles", () => {
  it("reads both formats side by side, and a model by the start of its SHA-256", () => {
    const files = [...THREE, ownFile("x.json", { tier: "edge", name: "edge-9" })];
    const byName = loadProfiles(files, "net");
    expect(byName.nodes.map(({ tier, name }) => `${tier} ${name}`)).toEqual([
      "device cam",
      "edge 2500",
      "cloud gpu.v1",
      "edge edge-9",
    ]);
    expect(byName.inputBytes).toBe(5_000);
    expect(loadProfiles(files, "ABAB").nodes.map(({ name }) => name)).toEqual(["edge-9"]);
  });

  it.each([
    [
      "negative times",
      scissionFile("edge-b.json", { seconds: -1 }),
      /dir\/edge-b.json: net: 1.seconds/,
    ],
    [
      "text for a time",
      scissionFile("edge-b.json", { seconds: "1" }),
      /dir\/edge-b.json: net: 1.seconds/,
    ],
    [
      "an infinite time",
      {
        ...scissionFile("edge-b.json"),
        text: '{"net":[{"inputLayer":0,"outputLayer":0,"seconds":1e999,"outputBytes":1}]}',
      },
      /net: 0.seconds/,
    ],
    [
      "NaN",
      { ...scissionFile("edge-b.json"), text: '{"net":[{"seconds":NaN}]}' },
      /dir\/edge-b.json: not JSON/,
    ],
    [
      "another number of blocks",
      {
        ...scissionFile("edge-b.json"),
        text: '{"net":[{"inputLayer":0,"outputLayer":2,"seconds":1,"outputBytes":1}]}',
      },
      /edge-b.json does not fit dir\/device-cam.json: it has 1 blocks, not 3/,
    ],
    [
      "other bytes",
      scissionFile("edge-b.json", { outputBytes: 7 }),
      /block 1 puts out 7 bytes, not 1000/,
    ],
    [
      "a gap between layers",
      scissionFile("edge-b.json", { inputLayer: 2, outputLayer: 2 }),
      /net.1: layers 2–2 must begin with layer 1/,
    ],
    [
      "a node twice",
      scissionFile("cloud-2500.json"),
      /dir\/edge-2500.json and dir\/cloud-2500.json both measure node 2500/,
    ],
    [
      "a broken profile of our own",
      ownFile("z.json", { tier: "moon", name: "m" }),
      /dir\/z.json: node.tier/,
    ],
  ])("refuses %s", (_name, file, message) => {
    expect(messageOf(() => loadProfiles([...THREE, file], "net"), "PROFILE_INVALID")).toMatch(
      message,
    );
  });

  it("looks only at the model that is asked for", () => {
    const broken = scissionFile("edge-b.json", { seconds: -1 });
    expect(loadProfiles([...THREE, broken], "other").nodes).toHaveLength(4);
  });

  it("suggests models, and says when a name means two", () => {
    expect(messageOf(() => loadProfiles(THREE, "nets"), "USAGE")).toMatch(/did you mean "net"/);
    expect(messageOf(() => loadProfiles([], "net"), "USAGE")).toMatch(/there are no profiles/);
    const twins = [
      ownFile("a.json", { tier: "edge", name: "a" }),
      ownFile(
        "b.json",
        { tier: "edge", name: "b" },
        { model: { name: "net", sha256: "cd".repeat(32) } },
      ),
    ];
    expect(messageOf(() => loadProfiles(twins, "net"), "USAGE")).toMatch(
      /means 2 models.*abab.*cdcd/,
    );
  });

  it.each(["__proto__", "constructor"])("takes %s as a model's name like any other", (name) => {
    const block = { inputLayer: 0, outputLayer: 0, seconds: 1, outputBytes: 1 };
    const text = `{${JSON.stringify(name)}: [${JSON.stringify(block)}]}`;
    expect(loadProfiles([{ path: "p", name: "device-cam.json", text }], name).nodes).toHaveLength(
      1,
    );
    expect(messageOf(() => loadProfiles(THREE, name), "USAGE")).toMatch(/no profile/);
  });
});

describe("parseLinks", () => {
  it("takes CSV with spaces, blank lines, any line ends, with and without a header", () => {
    const text = "source,destination,ping(ms),bandwidth(mbps)\r\na ,  b,   66.7, 1.6\r\n\r\n";
    const links = [{ from: "a", to: "b", rttMs: 66.7, bandwidthMbps: 1.6 }];
    expect(parseLinks({ path: "l", text })).toEqual(links);
    expect(parseLinks({ path: "l", text: "a,b,66.7,1.6" })).toEqual(links);
    expect(parseLinks({ path: "l", text: JSON.stringify({ links }) })).toEqual(links);
  });

  it.each([
    ["no bandwidth", "a,b,1\n", /l: line 1: bandwidth in Mbps of a → b is missing/],
    ["a bandwidth of 0", "x,y,ping,mbps\na,b,1,0\n", /l: line 2: bandwidth.*is "0"/],
    ["a negative ping", "a,b,-1,1\n", /l: line 1: ping.*is "-1"/],
    ["an endless ping", "a,b,Infinity,1\n", /ping.*is "Infinity"/],
    ["a link twice", "a,b,1,1\n\na,b,2,2\n", /l: line 3: a → b is given already at line 1/],
    ["a link to itself", "a,a,1,1\n", /leads nowhere/],
    ["too many cells", "a,b,1,1,9\n", /write source,destination/],
    [
      "JSON without bandwidth",
      '{"links":[{"from":"a","to":"b","rttMs":1}]}',
      /l: links.0.bandwidthMbps/,
    ],
    ["JSON that ends early", '{"links":[', /l: not JSON/],
  ])("refuses %s", (_name, text, message) => {
    expect(messageOf(() => parseLinks({ path: "l", text }), "LINKS_INVALID")).toMatch(message);
  });
});

describe("buildQuery", () => {
  const profiles = loadProfiles(THREE, "net");

  it.each([
    ["3,!1", "edge", { mustRunLayers: [3], mustNotRunLayers: [1], use: "may", nodes: [] }],
    ["2500", "edge", { mustRunLayers: [], nodes: ["2500"] }],
    ["layer:2500", "edge", { mustRunLayers: [2500], nodes: [] }],
    ["node:2500", "edge", { mustRunLayers: [], nodes: ["2500"] }],
    ["2500", "cloud", { mustRunLayers: [2500], nodes: [] }],
    ["-1", "cloud", { use: "never" }],
    ["!-1", "cloud", { use: "must" }],
  ] as const)("reads %s for the %s", (text, tier, wanted) => {
    const { problem } = buildQuery(profiles, LINKS, { ...OPTIONS, criteria: { [tier]: text } });
    expect(problem.constraints[tier]).toMatchObject(wanted);
  });

  it.each([
    [{ criteria: { edge: "" } }, /--edge "": has an empty item/],
    [{ criteria: { edge: "1,,2" } }, /has an empty item/],
    [{ criteria: { edge: "gpu.v1" } }, /"gpu.v1" is a cloud node; name it with --cloud/],
    [{ criteria: { device: "cma" } }, /no device node is named "cma"; did you mean "cam"/],
    [{ criteria: { device: "x-1" } }, /no device node is named "x-1"; the device nodes are cam/],
    [{ criteria: { edge: "layer:x" } }, /needs a layer's number/],
    [{ times: { edge: "fast" } }, /--edge-time "fast": give seconds/],
    [{ times: { edge: "101%" } }, /from 0% to 100%/],
    [{ times: { edge: "-1" } }, /give seconds/],
    [{ paths: ["cam,edge"] }, /--path "cam,edge": no node is named "edge"/],
    [{ paths: ["cam,cam"] }, /cam follows itself/],
  ] as [Partial<QueryOptions>, RegExp][])("refuses %j", (change, message) => {
    const run = () => buildQuery(profiles, LINKS, { ...OPTIONS, ...change });
    expect(messageOf(run, "USAGE")).toMatch(message);
  });

  it.each([
    [{ device: "1,!1" }, "--device: layer 1 must run here and must not; drop one of the two"],
    [{ edge: "-1,!-1" }, "--edge: the tier must be used and must not be used; drop -1 or !-1"],
    [{ edge: "2500,!2500" }, "--edge: 2500 must be used and must not; drop one of the two"],
  ])("finds that %j contradicts itself", (criteria, reason) => {
    expect(buildQuery(profiles, LINKS, { ...OPTIONS, criteria }).contradiction).toBe(reason);
  });

  it.each([
    [{ device: "9" }, /layer 9 must run on the device tier, but the model's last layer is 2/],
    [{ device: "1", edge: "1" }, /layers 1–1 may run nowhere/],
    [{ edge: "-1,2500" }, /2500 must be used, but the edge tier must not be used/],
    [{ device: "2", cloud: "1" }, /no plan meets/],
  ])("says why nothing meets %j", (criteria, reason) => {
    const { problem } = buildQuery(profiles, LINKS, { ...OPTIONS, criteria });
    const { plans, infeasible } = rankPlans(problem);
    expect(plans).toEqual([]);
    expect(infeasible).toMatch(reason);
  });

  it("lets an excluded device be the source", () => {
    const { problem } = buildQuery(profiles, LINKS, { ...OPTIONS, criteria: { device: "!cam" } });
    const { plans } = rankPlans(problem);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans) {
      expect(plan.source).toBe("cam");
      expect(plan.partitions.map(({ node }) => node)).not.toContain("cam");
    }
  });

  it("takes the way there for a way back that the file does not give, and says so", () => {
    const { problem, notes } = buildQuery(profiles, LINKS, OPTIONS);
    expect(problem.links).toHaveLength(6);
    expect(notes.join()).toMatch(/3 links have no way back/);
  });
});

describe("parseNodesFile and parseObjective", () => {
  const known = ["cam", "2500"];

  it("takes nodes as a list or by name", () => {
    const list = '{"nodes":[{"name":"cam","activeWatts":5}]}';
    const byName = '{"nodes":{"cam":{"activeWatts":5}}}';
    for (const text of [list, byName]) {
      expect(parseNodesFile({ path: "n", text }, known).nodes).toEqual([
        { name: "cam", activeWatts: 5 },
      ]);
    }
  });

  it.each([
    ['{"nodes":[{"name":"cma"}]}', /n: no node is named "cma"; did you mean "cam"/],
    ['{"nodes":[{"name":"cam"},{"name":"cam"}]}', /n: node cam occurs twice/],
    ['{"nodes":[{"name":"cam","activeWatts":-5}]}', /n: nodes/],
    ["[]", /n: \(document\)/],
  ])("refuses %s", (text, message) => {
    expect(messageOf(() => parseNodesFile({ path: "n", text }, known), "USAGE")).toMatch(message);
  });

  it("reads objectives and their weights", () => {
    expect(parseObjective("throughput")).toBe("throughput");
    expect(parseObjective("latency=1, energy=0.5")).toEqual({ latency: 1, energy: 0.5, cost: 0 });
    expect(messageOf(() => parseObjective("enrgy"), "USAGE")).toMatch(/did you mean "energy"/);
    expect(messageOf(() => parseObjective("latency=x"), "USAGE")).toMatch(/as latency=1/);
    expect(messageOf(() => parseObjective("throughput=1"), "USAGE")).toMatch(/no sum/);
    expect(messageOf(() => parseObjective("latency=-1"), "USAGE")).toMatch(/a weight is a number/);
  });

  it("names the field that an objective lacks", () => {
    const profiles = loadProfiles(THREE, "net");
    const { problem } = buildQuery(profiles, LINKS, { ...OPTIONS, objective: "energy" });
    expect(messageOf(() => rankPlans(problem), "USAGE")).toMatch(/node cam has no activeWatts/);
  });
});
