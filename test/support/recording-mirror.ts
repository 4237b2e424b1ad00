import { connect, type MqttClient } from "mqtt";
import { parseJson, type PlanDocument, planDocumentSchema } from "../../src/protocol/index.js";
import { heldAfter, type Step } from "./history.js";
import type { Recording } from "./recording-clients.js";

const RETRY_MS = 20;

/** Reads the retained mirror of one pipeline's plan over MQTT, and connects anew when cut off. */
export class RecordingMirror implements Recording {
  readonly history: Step[] = [];
  readonly #client: MqttClient;

  /** `url`: of the broker. */
  constructor(url: string, { site, pipeline }: { site: string; pipeline: string }) {
    this.#client = connect(url, {
      protocolVersion: 4,
      reconnectPeriod: RETRY_MS,
      reconnectOnConnackError: true,
    });
    this.#client.on("error", () => undefined);
    this.#client.on("connect", () => {
      this.history.push({ type: "connect" });
      this.#client.subscribe(`scission/v1/${site}/partitions/${pipeline}`, { qos: 1 });
    });
    this.#client.on("message", (_, payload) => this.#take(payload.toString("utf8"), pipeline));
  }

  #take(text: string, pipeline: string): void {
    if (text === "") {
      const { epoch = "" } = heldAfter(this.history);
      this.history.push({ type: "removed", epoch, nonce: "", pipeline });
      return;
    }
    const parsed = parseJson(text, planDocumentSchema);
    if (!parsed.ok) throw new Error(`no plan: ${parsed.message}`);
    const plan = parsed.value;
    const { epoch, revision } = plan;
    // What the broker retained is the whole state; it comes first.
    if (this.history.at(-1)?.type === "connect") {
      const revisions = { [pipeline]: revision };
      this.history.push({ type: "snapshot", epoch, nonce: "", revisions, plans: [plan] });
      return;
    }
    // MQTT says things at least once, and the daemon says them anew when it connects.
    if (isSameAsLast(this.history, plan)) return;
    this.history.push({ type: "update", epoch, nonce: "", plan });
  }

  cut(): void {
    this.#client.stream.destroy();
  }

  stop(): void {
    this.#client.end(true);
  }
}

/** Whether the newest plan of the history is this very document. */
function isSameAsLast(history: readonly Step[], plan: PlanDocument): boolean {
  const last = history.findLast(({ type }) => type === "snapshot" || type === "update");
  const [before] =
    last?.type === "snapshot" ? last.plans : last?.type === "update" ? [last.plan] : [];
  return JSON.stringify(before) === JSON.stringify(plan);
}
