import { AppError } from "../core/index.js";
import { quoted } from "./layers.js";
import type { ModelProto, TensorProto } from "./proto/onnx_pb.js";
import { tensorsIn, tensorsInNode } from "./scope.js";

/** `TensorProto.DataLocation.EXTERNAL` of the ONNX specification. */
const DATA_LOCATION_EXTERNAL = 1;
const LOCATION_CHARACTERS_MAX = 1_024;

export interface ExternalLocation {
  location: string;
  /** Bytes from the start of the file. */
  offset: number;
  /** Bytes; undefined where the file leaves it to the tensor's type and shape. */
  length: number | undefined;
}

export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === DATA_LOCATION_EXTERNAL;
}

/** The distinct files that hold weights, in the order in which the model names them. */
export function externalLocations(model: ModelProto): string[] {
  const locations = new Set<string>();
  for (const tensor of allTensors(model)) {
    if (isExternal(tensor)) locations.add(readExternalLocation(tensor).location);
  }
  return [...locations];
}

function* allTensors(model: ModelProto): Generator<TensorProto> {
  if (model.graph !== undefined) yield* tensorsIn(model.graph);
  for (const body of model.functions) {
    for (const node of body.node) yield* tensorsInNode(node);
  }
}

/**
 * Where a tensor's data lies. The location is a plain relative path that stays below the model's
 * directory (symbolic links are for whoever opens the file to check).
 * @throws AppError MODEL_UNREADABLE naming the tensor
 */
export function readExternalLocation(tensor: TensorProto): ExternalLocation {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key ?? "", value ?? ""]));
  const location = entries.get("location") ?? "";
  const reason = whatIsWrongWithLocation(location);
  if (reason !== undefined) {
    throw externalError(tensor, `its external file ${quoted(location)} ${reason}`);
  }
  return {
    location,
    offset: readCount(tensor, "offset", entries.get("offset")) ?? 0,
    length: readCount(tensor, "length", entries.get("length")),
  };
}

/** Why this is no plain relative path below the model's directory; undefined for one that is. */
export function whatIsWrongWithLocation(location: string): string | undefined {
  if (location === "") return "has no name";
  if (location.length > LOCATION_CHARACTERS_MAX) return "has too long a name";
  if (/[\u0000-\u001f\\:*]/u.test(location)) return "has a character that no portable name has";
  const isPlain = location.split("/").every((part) => part !== "" && part !== "..");
  return isPlain ? undefined : "does not lie below the model's directory";
}

function readCount(tensor: TensorProto, key: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const count = /^\d{1,15}$/u.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(count)) return count;
  throw externalError(tensor, `the ${key} ${quoted(text)} of its external data is no byte count`);
}

export function externalError(tensor: TensorProto, what: string): AppError {
  return new AppError("MODEL_UNREADABLE", `tensor ${quoted(tensor.name ?? "")}: ${what}`);
}
