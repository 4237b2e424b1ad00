import { z } from "zod";
import { suggestion } from "../core/index.js";
import { pipelineName } from "./pipelines.js";
import type { Finding, Path } from "./problem.js";

const text = z.string().optional().catch(undefined);
const listOf = <T extends z.ZodType>(item: T) => z.array(item).catch([]);

/** The names alone, whatever else is wrong: so that references are checked along with everything. */
const namesView = z
  .looseObject({
    node: z.looseObject({ name: text }).catch({ name: undefined }),
    models: listOf(z.looseObject({ name: text }).catch({ name: undefined })),
    pipelines: listOf(
      z
        .looseObject({ name: text, model: text, devices: listOf(z.string().catch("")) })
        .catch({ name: undefined, model: undefined, devices: [] }),
    ),
    links: listOf(z.looseObject({ to: text }).catch({ to: undefined })),
  })
  .catch({ node: { name: undefined }, models: [], pipelines: [], links: [] });

/** Names that are used twice or not defined, in a document that need not be valid otherwise. */
export function checkReferences(document: unknown): Finding[] {
  const { node, models, pipelines, links } = namesView.parse(document);
  const modelNames = new Set(models.flatMap(({ name }) => name ?? []));
  return [
    ...duplicates(
      models.map(({ name }, index) => ({ name, path: ["models", index, "name"] })),
      "this model name is used above",
    ),
    ...duplicates(
      links.map(({ to }, index) => ({ name: to, path: ["links", index, "to"] })),
      "this node is listed above",
    ),
    ...duplicates(devicePipelines(pipelines), "this pipeline exists already"),
    ...duplicates(
      pipelines.map(({ name }, index) => ({ name, path: ["pipelines", index, "name"] })),
      "this pipeline name is used above",
    ),
    ...pipelines.flatMap(({ model }, index) =>
      model === undefined || modelNames.has(model)
        ? []
        : [unknownModel(model, modelNames, ["pipelines", index, "model"])],
    ),
    ...links.flatMap(({ to }, index): Finding[] =>
      to === undefined || to !== node.name
        ? []
        : [{ path: ["links", index, "to"], at: "value", message: "this is the node itself" }],
    ),
  ];
}

interface Named {
  name: string | undefined;
  path: Path;
}

function duplicates(entries: readonly Named[], message: string): Finding[] {
  const seen = new Set<string>();
  return entries.flatMap(({ name, path }): Finding[] => {
    if (name === undefined || name === "") return [];
    if (seen.has(name)) return [{ path, at: "value", message: `${message}: ${name}` }];
    seen.add(name);
    return [];
  });
}

/** Two pipelines may meet in one name: "a" of "b-c" and "a-b" of "c". */
function devicePipelines(
  pipelines: readonly { name?: string | undefined; devices: readonly string[] }[],
): Named[] {
  return pipelines.flatMap(({ name, devices }, index) =>
    devices.map((device, at) => ({
      name: name === undefined || device === "" ? undefined : pipelineName(name, device),
      path: ["pipelines", index, "devices", at],
    })),
  );
}

function unknownModel(model: string, known: ReadonlySet<string>, path: Path): Finding {
  const hint =
    suggestion(model, known) ||
    (known.size === 0 ? "; models is empty" : `; defined are ${[...known].join(", ")}`);
  return { path, at: "value", message: `no model "${model}"${hint}` };
}
