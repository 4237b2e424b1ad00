import type { Graph } from "./graph.js";
import { mobilenet } from "./networks/mobilenet.js";
import { resnet } from "./networks/resnet.js";
import { vgg } from "./networks/vgg.js";

/** The networks, under the names that Scission's measurements use. */
const NETWORKS = {
  vgg16: () => vgg("vgg16"),
  vgg19: () => vgg("vgg19"),
  resnet50: () => resnet("resnet50"),
  resnet101: () => resnet("resnet101"),
  resnet152: () => resnet("resnet152"),
  mobilenet,
} as const satisfies Record<string, () => Graph>;

export type ModelName = keyof typeof NETWORKS;

export const MODEL_NAMES = Object.keys(NETWORKS) as readonly ModelName[];

export function isModelName(name: string): name is ModelName {
  return Object.hasOwn(NETWORKS, name);
}

/** The architecture, without values of its weights. */
export function describeModel(name: ModelName): Graph {
  return NETWORKS[name]();
}
