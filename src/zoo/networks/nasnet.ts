import { GraphBuilder } from "../builder.js";
import type { Graph, Tensor } from "../graph.js";
import { classify } from "./classifier.js";
import { normalCell, reductionCell } from "./nasnet-cells.js";

interface Variant {
  readonly imageSize: number;
  readonly stemFilters: number;
  /** Channels of the last cell: 24 × the filters of the first normal cells. */
  readonly penultimateFilters: number;
  /** Normal cells between two reductions. */
  readonly cells: number;
  /** The large one feeds the cell after a reduction with the reduction's second-last input. */
  readonly skipsReduction: boolean;
}

const VARIANTS = {
  nasnetmobile: {
    imageSize: 224,
    stemFilters: 32,
    penultimateFilters: 1056,
    cells: 4,
    skipsReduction: false,
  },
  nasnetlarge: {
    imageSize: 331,
    stemFilters: 96,
    penultimateFilters: 4032,
    cells: 6,
    skipsReduction: true,
  },
} as const satisfies Record<string, Variant>;

/** NASNet-A (Zoph et al. 2017): each cell reads the outputs of the two cells before it. */
export function nasnet(name: keyof typeof VARIANTS): Graph {
  const variant = VARIANTS[name];
  const filters = variant.penultimateFilters / 24;
  const build = new GraphBuilder(name, variant.imageSize);
  const stem = { name: "stem_conv1", filters: variant.stemFilters, kernel: 3, stride: 2 };
  const first = build.conv(build.input, { ...stem, padding: "valid", bias: false });
  let x = build.batchNorm(first, { name: "stem_bn1" });
  let previous = x;
  const advance = (output: Tensor): void => {
    previous = x;
    x = output;
  };
  advance(reductionCell(build, { x, previous }, { id: "stem_1", filters: filters / 4 }));
  advance(reductionCell(build, { x, previous }, { id: "stem_2", filters: filters / 2 }));
  for (let stage = 0; stage < 3; stage += 1) {
    const stageFilters = filters * 2 ** stage;
    if (stage > 0) {
      const id = `reduce_${variant.cells * stage}`;
      const reduced = reductionCell(build, { x, previous }, { id, filters: stageFilters });
      if (variant.skipsReduction) x = reduced;
      else advance(reduced);
    }
    for (let cell = 0; cell < variant.cells; cell += 1) {
      const id = String(variant.cells * stage + Math.min(stage, 1) + cell);
      advance(normalCell(build, { x, previous }, { id, filters: stageFilters }));
    }
  }
  x = build.relu(x, "final_relu");
  return classify(build, x, { pool: "global_average_pooling2d", dense: "predictions" });
}
