import { AppError, printable, suggestion } from "../../core/index.js";
import { type Objective, objectiveSchema } from "../options.js";

const NAMES = ["latency", "throughput", "energy", "cost"];

/** `latency`, `throughput`, `energy`, `cost`, or weights as `latency=1,energy=0.5`. Throws USAGE. */
export function parseObjective(text: string): Objective {
  const isWeighted = text.includes("=");
  const weights = new Map<string, number>();
  for (const part of isWeighted ? text.split(",") : []) {
    const [name = "", digits = "", ...rest] = part.split("=").map((piece) => piece.trim());
    const value = digits === "" || rest.length > 0 ? NaN : Number(digits);
    if (Number.isNaN(value) || weights.has(name)) {
      throw wrong(text, `write each once, as ${printable(name, 40) || "latency"}=1`);
    }
    weights.set(name, value);
  }
  const parsed = objectiveSchema.safeParse(isWeighted ? Object.fromEntries(weights) : text);
  if (parsed.success) return parsed.data;
  const unknown = isWeighted ? [...weights.keys()].find((name) => !NAMES.includes(name)) : text;
  if (weights.has("throughput")) {
    throw wrong(text, "throughput is the longest stage and no sum; weigh latency, energy and cost");
  }
  if (unknown === undefined) throw wrong(text, "a weight is a number from 0 to 1e12");
  throw wrong(text, `there are ${NAMES.join(", ")}${suggestion(unknown, NAMES)}`);
}

function wrong(text: string, remedy: string): AppError {
  return new AppError("USAGE", `--objective "${printable(text, 80)}": ${remedy}`);
}
