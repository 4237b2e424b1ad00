import type { Graph } from "./graph.js";
import { densenet } from "./networks/densenet.js";
import { inceptionResnetV2 } from "./networks/inception-resnet-v2.js";
import { inceptionV3 } from "./networks/inception-v3.js";
import { mobilenet } from "./networks/mobilenet.js";
import { mobilenetV2 } from "./networks/mobilenet-v2.js";
import { nasnet } from "./networks/nasnet.js";
import { resnet } from "./networks/resnet.js";
import { resnetV2 } from "./networks/resnet-v2.js";
import { vgg } from "./networks/vgg.js";
import { xception } from "./networks/xception.js";

/** The networks, under the names that Scission's measurements use. */
const NETWORKS = {
  vgg16: () => vgg("vgg16"),
  vgg19: () => vgg("vgg19"),
  resnet50: () => resnet("resnet50"),
  resnet101: () => resnet("resnet101"),
  resnet152: () => resnet("resnet152"),
  resnet50v2: () => resnetV2("resnet50v2"),
  resnet101v2: () => resnetV2("resnet101v2"),
  resnet152v2: () => resnetV2("resnet152v2"),
  inception_v3: inceptionV3,
  inceptionresnet_v2: inceptionResnetV2,
  mobilenet,
  mobilenetv2: mobilenetV2,
  densenet121: () => densenet("densenet121"),
  densenet169: () => densenet("densenet169"),
  densenet201: () => densenet("densenet201"),
  nasnetmobile: () => nasnet("nasnetmobile"),
  nasnetlarge: () => nasnet("nasnetlarge"),
  xception,
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
