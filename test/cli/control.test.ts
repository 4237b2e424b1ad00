import { afterEach, describe, expect, it } from "vitest";
import { controlCommand } from "../../src/cli/control.js";
import { AppError } from "../../src/core/index.js";
import type { Publisher } from "../../src/publisher/index.js";
import { fixedApi, runPublisher } from "../support/publisher.js";
import { recordTerminal, runCommandLine } from "../support/terminal.js";

const publishers: Publisher[] = [];
afterEach(async () => {
  await Promise.all(publishers.splice(0).map((publisher) => publisher.stop()));
});

async function start(): Promise<{ url: string; orders: unknown[] }> {
  const orders: unknown[] = [];
  const publisher = await runPublisher(
    {},
    {
      api: fixedApi({
        control: (pipeline, { command }) => {
          if (pipeline === "door") return Promise.reject(new AppError("USAGE", "no such pipeline"));
          orders.push([pipeline, command]);
          return Promise.resolve();
        },
      }),
    },
  );
  publishers.push(publisher);
  return { url: publisher.httpUrl, orders };
}

const run = (...words: string[]): Promise<void> =>
  runCommandLine(controlCommand(recordTerminal()), ...words);

describe("scissiond control", () => {
  it("sends what was asked for", async () => {
    const { url, orders } = await start();
    await run("pause", "vision", "--url", url);
    const stages = ["--stage", "cam-1:0-30", "--stage", "gpu-1:31-121"];
    await run("pin", "vision", "--url", url, ...stages);
    expect(orders).toEqual([
      ["vision", { action: "pause" }],
      [
        "vision",
        {
          action: "pin",
          partitions: [
            { node: "cam-1", firstLayer: 0, lastLayer: 30 },
            { node: "gpu-1", firstLayer: 31, lastLayer: 121 },
          ],
        },
      ],
    ]);
  });

  it.each([
    ["USAGE", ["pin", "vision"]],
    ["USAGE", ["pin", "vision", "--stage", "gpu-1"]],
    ["USAGE", ["pause", "vision", "--token-file", "/no/such/file"]],
    ["COMMAND_FAILED", ["pause", "door"]],
  ])("fails with %s for %j", async (code, words) => {
    const { url, orders } = await start();
    await expect(run(...words, "--url", url)).rejects.toMatchObject({ code });
    expect(orders).toEqual([]);
  });

  it("says when no daemon answers", async () => {
    await expect(run("pause", "vision", "--url", "http://127.0.0.1:9")).rejects.toMatchObject({
      code: "DAEMON_UNREACHABLE",
    });
  });
});
