import { createHash } from "node:crypto";
import { z } from "zod";
import { parseJson, parseValue } from "../protocol/index.js";
import { type StoreState, storeStateSchema } from "./state.js";

const FORMAT = "scissiond-state";
const VERSION = 1;

/** A state with the number of its write: of two good copies the higher one counts. */
export interface Numbered {
  sequence: number;
  state: StoreState;
}

const headerSchema = z.looseObject({ format: z.literal(FORMAT), version: z.number().int() });

const envelopeSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  sequence: z.number().int().positive(),
  sha256: z.string(),
  data: z.unknown(),
});

export type Unsealed = { ok: true; value: Numbered } | { ok: false; message: string };

/** The text of a state file: the state under a header with its checksum. */
export function seal({ sequence, state }: Numbered): string {
  const sha256 = checksum(sequence, state);
  return `${JSON.stringify({ format: FORMAT, version: VERSION, sequence, sha256, data: state })}\n`;
}

/** The state in the text of a state file, or why it cannot be trusted. Never throws. */
export function unseal(text: string): Unsealed {
  const header = parseJson(text, headerSchema);
  if (!header.ok) return header;
  if (header.value.version !== VERSION) {
    const { version } = header.value;
    return { ok: false, message: `it has version ${version}; this scissiond reads ${VERSION}` };
  }
  const envelope = parseValue(header.value, envelopeSchema);
  if (!envelope.ok) return envelope;
  const { sequence, sha256, data } = envelope.value;
  if (checksum(sequence, data) !== sha256) return { ok: false, message: "its checksum is wrong" };
  const state = parseValue(data, storeStateSchema);
  if (!state.ok) return state;
  return { ok: true, value: { sequence, state: state.value } };
}

/** JSON that was written by `JSON.stringify` comes out of parsing and writing it again unchanged. */
function checksum(sequence: number, data: unknown): string {
  return createHash("sha256").update(`${sequence}\n`).update(JSON.stringify(data)).digest("hex");
}
