import { InvalidArgumentError } from "commander";

interface Bounds {
  min: number;
  max: number;
}

/** Parser of a whole-number option; commander names the option in the error. */
export function wholeNumber(bounds: Bounds): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    return within(value, bounds, "a whole number");
  };
}

/** Parser of a decimal option. */
export function decimalNumber(bounds: Bounds): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    return within(value, bounds, "a number");
  };
}

function within(value: number, { min, max }: Bounds, kind: string): number {
  if (value >= min && value <= max) return value;
  throw new InvalidArgumentError(`Give ${kind} from ${min} to ${max}.`);
}
