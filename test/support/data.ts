import { describe } from "vitest";

/** Where the real inputs lie (`SCISSIOND_DATA`); undefined where they are not at hand. */
export function dataDirectory(): string | undefined {
  const directory = process.env["SCISSIOND_DATA"];
  return directory === undefined || directory === "" ? undefined : directory;
}

/** A suite on real inputs; skipped, and saying so, where SCISSIOND_DATA is unset. */
export function describeWithData(name: string, body: (directory: string) => void): void {
  const directory = dataDirectory();
  if (directory === undefined) describe.skip(`${name} (SCISSIOND_DATA is unset)`, () => undefined);
  else describe(name, () => body(directory));
}
