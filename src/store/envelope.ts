import { z } from "zod";
import { parseJson, parseValue } from "../protocol/index.js";
import { checksum } from "./checksum.js";
import { documentSchema, type StoredDocument } from "./document.js";
import { type StoreState, storeStateSchema } from "./state.js";

const FORMAT = "scissiond-state";
const VERSION = 2;
/** It held profiles and decisions whole. */
const VERSION_WITHOUT_PARTS = 1;

/** What a state file holds, with the number of its write: of two good copies the higher one counts. */
export type Numbered = { sequence: number } & (
  | { kind: "document"; document: StoredDocument }
  | { kind: "state"; state: StoreState }
);

const headerSchema = z.looseObject({ format: z.literal(FORMAT), version: z.number().int() });

const envelopeSchema = z.strictObject({
  format: z.literal(FORMAT),
  version: z.union([z.literal(VERSION), z.literal(VERSION_WITHOUT_PARTS)]),
  sequence: z.number().int().positive(),
  sha256: z.string(),
  data: z.unknown(),
});

export type Unsealed =
  | { ok: true; value: Numbered }
  | { ok: false; message: string; why: "damage" | "version" };

/** What a state file holds: the document's JSON under a header with its checksum. */
export function seal(sequence: number, json: Uint8Array): Buffer {
  const sha256 = sealOf(sequence, json);
  const header = JSON.stringify({ format: FORMAT, version: VERSION, sequence, sha256 });
  const head = Buffer.from(`${header.slice(0, -1)},"data":`);
  return Buffer.concat([head, json, Buffer.from("}\n")]);
}

/** What is in the text of a state file, or why it cannot be trusted. Never throws. */
export function unseal(text: string): Unsealed {
  const header = parseJson(text, headerSchema);
  if (!header.ok) return damage(header.message);
  const { version } = header.value;
  if (version !== VERSION && version !== VERSION_WITHOUT_PARTS) {
    const message = `it has version ${version}; this scissiond reads ${VERSION}`;
    return { ok: false, message, why: "version" };
  }
  const envelope = parseValue(header.value, envelopeSchema);
  if (!envelope.ok) return damage(envelope.message);
  const { sequence, sha256, data } = envelope.value;
  if (sealOf(sequence, JSON.stringify(data)) !== sha256) {
    return damage("its checksum is wrong");
  }
  if (version === VERSION_WITHOUT_PARTS) {
    const state = parseValue(data, storeStateSchema);
    if (!state.ok) return damage(state.message);
    return { ok: true, value: { sequence, kind: "state", state: state.value } };
  }
  const document = parseValue(data, documentSchema);
  if (!document.ok) return damage(document.message);
  return { ok: true, value: { sequence, kind: "document", document: document.value } };
}

function damage(message: string): Unsealed {
  return { ok: false, message, why: "damage" };
}

/** JSON that was written by `JSON.stringify` comes out of parsing and writing it again unchanged. */
function sealOf(sequence: number, json: string | Uint8Array): string {
  return checksum(`${sequence}\n`, json);
}
