import type { ModelFile } from "./models.js";

/** A model to be measured on a node. */
export interface BenchmarkJob {
  model: ModelFile;
  node: string;
  /** The machine that the node runs on. */
  host: string;
}

export function jobKey({ model, node }: BenchmarkJob): string {
  return `${model.sha256} ${node}`;
}

export function jobName({ model, node }: BenchmarkJob): string {
  return `${model.name} on ${node}`;
}
