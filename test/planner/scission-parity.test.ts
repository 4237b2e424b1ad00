import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { isAppError } from "../../src/core/index.js";
import {
  buildQuery,
  loadProfiles,
  parseLinks,
  type QueryOptions,
  type RankedPlan,
  rankPlans,
  SCISSION_COST_MODEL,
  SCISSION_INPUT_BYTES,
  type TextFile,
} from "../../src/planner/index.js";
import { describeWithData } from "../support/data.js";

const RELATIVE_TOLERANCE = 1e-9;

interface Row {
  totalSeconds: number;
  bytes: number;
  text: string;
}

interface Case {
  model: string;
  network: string;
  case: string;
  args: string[];
  rows: Row[];
}

/** The original's options as ours. */
function optionsOf(args: readonly string[]): QueryOptions {
  const given = new Map<string, string>();
  for (let index = 0; index < args.length; index += 2) given.set(args[index]!, args[index + 1]!);
  const number = (name: string): number | undefined =>
    given.has(name) ? Number(given.get(name)) : undefined;
  const inputMegabytes = number("-i");
  return {
    costModel: SCISSION_COST_MODEL,
    criteria: { device: given.get("-d"), edge: given.get("-e"), cloud: given.get("-c") },
    uploadMegabytes: { device: number("--device-upload"), edge: number("--edge-upload") },
    times: {
      device: given.get("--device-time"),
      edge: given.get("--edge-time"),
      cloud: given.get("--cloud-time"),
    },
    inputBytes: inputMegabytes === undefined ? SCISSION_INPUT_BYTES : inputMegabytes * 1e6,
    topK: number("--result-count") ?? 5,
    paths: [],
    objective: "latency",
    nodesFile: undefined,
    deadlineMs: undefined,
  };
}

/** "Device(raspi4) = 0 - 6, …" → "device raspi4 0-6, …", without the tiers that run nothing. */
function partitionsOf(row: Row): string {
  const parts = [...row.text.matchAll(/(Device|Edge|Cloud)\((.*?)\) = (-?\d+) - (-?\d+)(?:,|$)/g)];
  return parts
    .filter(([, , , first]) => first !== "-1")
    .map(([, tier, node, first, last]) => `${tier!.toLowerCase()} ${node} ${first}-${last}`)
    .join(", ");
}

function partitionsOfPlan(plan: RankedPlan): string {
  return plan.partitions
    .map((part) => `${part.tier} ${part.node} ${part.firstLayer}-${part.lastLayer}`)
    .join(", ");
}

describeWithData("Scission's own answers", (directory) => {
  const home = join(directory, "data", "scission");
  const files: TextFile[] = readdirSync(home)
    .filter((name) => name.endsWith(".json"))
    .map((name) => ({ path: name, name, text: readFileSync(join(home, name), "utf8") }));
  const { cases } = JSON.parse(files.find(({ name }) => name === "expected.json")!.text) as {
    cases: Case[];
  };
  const models = [...new Set(cases.map((one) => one.model))];
  const profiles = new Map(models.map((model) => [model, loadProfiles(files, model)]));

  function answer({ model, network, args }: Case): ReturnType<typeof rankPlans> {
    const path = `${network}.csv`;
    const links = parseLinks({ path, text: readFileSync(join(home, path), "utf8") });
    const query = buildQuery(profiles.get(model)!, links, optionsOf(args));
    if (query.contradiction !== undefined) return { plans: [], infeasible: query.contradiction };
    return rankPlans(query.problem);
  }

  function rowsOf({ model, network }: Case, name: string): Row[] {
    const twin = cases.find(
      (one) => one.model === model && one.network === network && one.case === name,
    );
    return twin!.rows;
  }

  /** The best of several lists of rows: what the original would print without its fault. */
  function merged(one: Case, names: readonly string[]): Row[] {
    const rows = names.flatMap((name) => rowsOf(one, name));
    return rows.sort((a, b) => a.totalSeconds - b.totalSeconds).slice(0, 5);
  }

  /** What is right where the original is wrong: from what it answers when it is asked otherwise. */
  const corrections = new Map<string, (one: Case) => Row[] | "unknown node">([
    // Excluding a node must not force its tier to be used; an excluded device still is the source.
    ["device-name-exclude", (one) => rowsOf(one, "device-forbidden")],
    ["edge-name-exclude", (one) => merged(one, ["edge-forbidden", "edge-name-exclude"])],
    ["cloud-name-exclude", (one) => merged(one, ["cloud-forbidden", "cloud-name-exclude"])],
    // Nodes made of digits can be named. There are two edge nodes: not the one is the other.
    ["edge-name-include", (one) => rowsOf(one, "edge-name-exclude")],
    ["edge-name-digits-exclude", (one) => merged(one, ["edge-forbidden", "edge-name-include-2"])],
    // A name that does not exist is an error, not an empty wish.
    ["edge-names-both", () => "unknown node"],
    ["quirk-dash1-suffix", () => "unknown node"],
  ]);

  const groups = new Map<string, Case[]>();
  for (const one of cases) groups.set(one.case, [...(groups.get(one.case) ?? []), one]);

  it.each([...groups.keys()].map((name) => [name]))("%s", (name) => {
    for (const one of groups.get(name)!) {
      const rows = corrections.get(name)?.(one) ?? one.rows;
      if (rows === "unknown node") {
        expect(() => answer(one)).toThrow(/no edge node is named/);
        continue;
      }
      const { plans, infeasible } = answer(one);
      const label = `${one.model} ${one.network} ${one.args.join(" ")}`;
      expect(plans.map(partitionsOfPlan), label).toEqual(rows.map(partitionsOf));
      expect(plans.map((plan) => plan.transferBytes)).toEqual(rows.map((row) => row.bytes));
      for (const [index, row] of rows.entries()) {
        const error = Math.abs(plans[index]!.latencyMs / 1_000 / row.totalSeconds - 1);
        expect(error, label).toBeLessThan(RELATIVE_TOLERANCE);
      }
      expect(infeasible === null, label).toBe(rows.length > 0);
    }
  });

  it("names the missing link where the original dies", () => {
    const links = parseLinks({ path: "links.csv", text: "raspi4,2500,1,1\nraspi4,vm2Core,1,1\n" });
    const query = buildQuery(profiles.get("vgg19")!, links, optionsOf(["-e", "!-1", "-c", "!-1"]));
    const { plans, infeasible } = rankPlans(query.problem);
    expect(plans).toEqual([]);
    expect(infeasible).toMatch(/^no link (2500|vm2Core) → 6700k\((No)?GPU\)$/);
  });

  it("plans with two tiers only", () => {
    const two = files.filter(({ name }) => !name.startsWith("cloud-"));
    const links = parseLinks({ path: "links.csv", text: "raspi4,2500,1,1\nraspi4,vm2Core,1,1\n" });
    const query = buildQuery(loadProfiles(two, "vgg19"), links, optionsOf([]));
    expect(rankPlans(query.problem).plans).toHaveLength(5);
  });

  it("warns of blocks that took no time", () => {
    const notes = profiles.get("mobilenet")!.notes.filter((note) => note.includes("0 ms"));
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain("edge-vm2Core.json");
  });

  it("ignores other files with a note", () => {
    const notes = profiles.get("vgg19")!.notes.filter((note) => note.includes("ignored"));
    expect(notes.map((note) => note.split(" ")[0])).toEqual(["expected.json", "keras-models.json"]);
  });

  it("suggests the nearest model", () => {
    try {
      loadProfiles(files, "vgg91");
      expect.unreachable();
    } catch (error) {
      expect(isAppError(error, "USAGE")).toBe(true);
      expect((error as Error).message).toMatch(/did you mean "vgg(16|19)"/);
    }
  });
});
