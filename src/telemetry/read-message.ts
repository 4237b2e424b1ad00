import type { z } from "zod";
import { parseJson } from "../protocol/index.js";
import { type Message, payloadText } from "./intake.js";
import type { Rejections } from "./rejections.js";

/** A command or answer as a value of the schema; what is no such is counted and gives undefined. */
export function readMessage<T>(
  message: Message,
  schema: z.ZodType<T>,
  options: { bytesMax: number; rejections: Rejections },
): T | undefined {
  if (message.retained) {
    options.rejections.add(
      "retained",
      message.topic,
      "commands and answers act once, not for ever",
    );
    return undefined;
  }
  if (message.payload.byteLength > options.bytesMax) {
    options.rejections.add("too-large", message.topic, `${message.payload.byteLength} bytes`);
    return undefined;
  }
  const parsed = parseJson(payloadText(message.payload), schema);
  if (parsed.ok) return parsed.value;
  options.rejections.add("malformed", message.topic, parsed.message);
  return undefined;
}
