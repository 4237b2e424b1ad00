import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { PlanDocument } from "../../src/protocol/index.js";
import { until } from "../support/poll.js";
import { runPublisher } from "../support/publisher.js";
import { StreamClient } from "../support/stream-client.js";

const page = await readFile(join(import.meta.dirname, "../../docs/protocol.md"), "utf8");
const [, json = ""] = /^```json\n([\s\S]*?)^```/m.exec(page) ?? [];
const plan8 = JSON.parse(json) as PlanDocument;
const plan7 = { ...plan8, revision: 7 };
/** The exchanges of the page, a message each line. */
const exchanges = [...page.matchAll(/^```text\n([\s\S]*?)^```/gm)].map(([, text]) =>
  text!.trim().split("\n"),
);

type Message = { type: string; nonce?: string; epoch?: string };

function messageOf(line: string): Message {
  const text = line.slice(2).replace("PLAN8", json).replace("PLAN7", JSON.stringify(plan7));
  return JSON.parse(text) as Message;
}

/** Plays the client's lines to a daemon, and holds its frames against the page's, nonces aside. */
class Player {
  readonly #client: StreamClient;
  readonly #nonces = new Map<string | undefined, string>();
  #heard = 0;

  constructor(client: StreamClient) {
    this.#client = client;
  }

  async play(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const message = messageOf(line);
      if (line.startsWith("→")) {
        const nonce = this.#nonces.get(message.nonce);
        this.#client.send(nonce === undefined ? message : { ...message, nonce });
      } else if (message.type === "heartbeat") {
        const text = JSON.stringify(message);
        const isHere = (): boolean =>
          this.#client.messages.some((each) => JSON.stringify(each) === text);
        await until(isHere, { what: line });
      } else {
        const got = await this.#client.frame(this.#heard++);
        this.#nonces.set(message.nonce, got.nonce);
        expect({ ...got, nonce: "" }, line).toEqual({ ...message, nonce: "" });
      }
    }
  }
}

describe("a worked exchange of docs/protocol.md, played to a daemon's stream", () => {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const step of cleanup.splice(0).reverse()) await step();
  });

  /** Revision 7 in force, the client greeted as the page says, then a rollout of revision 8. */
  async function perform(lines: readonly string[], deps: Parameters<typeof runPublisher>[1]) {
    const publisher = await runPublisher({ stream: { heartbeatSeconds: 0.1 } }, deps);
    cleanup.push(() => publisher.stop());
    const { epoch } = plan7;
    publisher.offer({ epoch, plans: [plan7] });
    const player = new Player(await StreamClient.open(publisher.updatesUrl));
    const middle = lines.findIndex((line) => line.includes('"prepare"'));
    await player.play(lines.slice(0, middle));
    await until(() => publisher.subscriberList()[0]?.revisions.get("vision-cam-1") === 7);
    const outcome = publisher.rollOut(plan8, () => {
      publisher.offer({ epoch, plans: [plan8] });
      return Promise.resolve();
    });
    await player.play(lines.slice(middle));
    return await outcome;
  }

  const [switching = [], refusing = []] = exchanges;

  it("switches", async () => {
    const reports: [string, number | undefined][] = [];
    const outcome = await perform(switching, {
      onReport: (node, { stages }) => reports.push([node, stages[0]?.computeMs]),
    });
    expect(outcome).toEqual({ kind: "active" });
    expect(reports).toEqual([["gpu-1", 3.4]]);
  });

  it("refuses", async () => {
    const rejections: string[] = [];
    const outcome = await perform(refusing, {
      onReject: ({ node, reason }) => rejections.push(`${node}: ${reason}`),
    });
    expect(outcome.kind).toBe("aborted");
    expect(rejections).toEqual(["cam-1: the model needs 900 MiB, and 512 MiB are free"]);
  });
});
