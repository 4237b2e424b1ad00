import { z } from "zod";
import { type PlanDocument, parseJson, planDocumentSchema } from "../protocol/index.js";
import { type DemoProcess, startProcess } from "./process.js";

/** A line of `scissiond watch --json`, as far as the demo reads it. */
const lineSchema = z.object({
  plan: planDocumentSchema.optional(),
  plans: z.array(planDocumentSchema).optional(),
});

/** A real subscriber in a process of its own. */
export interface Subscriber {
  readonly process: DemoProcess;
  /** The newest plan it has received. */
  plan(): PlanDocument | undefined;
}

export function startSubscriber(name: string, url: string): Subscriber {
  let newest: PlanDocument | undefined;
  const process = startProcess(name, ["watch", "--json", "--url", url], (line) => {
    const parsed = parseJson(line, lineSchema);
    if (!parsed.ok) return;
    newest = parsed.value.plan ?? parsed.value.plans?.at(-1) ?? newest;
  });
  return { process, plan: () => newest };
}
