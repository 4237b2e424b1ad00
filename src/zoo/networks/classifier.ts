import type { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";

export const CLASSES = 1000;

/** The end of most networks: mean over the image, one dense layer, softmax. */
export function classify(
  build: GraphBuilder,
  x: Tensor,
  { pool, dense }: { pool: string; dense: string },
): Graph {
  const pooled = build.flatten(build.globalAveragePool(x, pool), `${pool}_flatten`);
  const logits = build.logits(pooled, { name: dense, units: CLASSES });
  return build.finish(build.softmax(logits, `${dense}_softmax`));
}
