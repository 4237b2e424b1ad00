import { afterEach, describe, expect, it } from "vitest";
import { watchCommand } from "../../src/cli/watch.js";
import { isAppError } from "../../src/core/index.js";
import { aPlan } from "../support/plans.js";
import { until } from "../support/poll.js";
import { type RunningPublisher, runPublisher } from "../support/publisher.js";
import { type RecordedTerminal, recordTerminal, runCommandLine } from "../support/terminal.js";

let publisher: RunningPublisher | undefined;
afterEach(() => publisher?.stop());

const linesOf = (terminal: RecordedTerminal): string[] => terminal.output.trimEnd().split("\n");

describe("scissiond watch", () => {
  it("prints the plans in force, then one line for each update", async () => {
    publisher = await runPublisher();
    publisher.offer({ epoch: "e", plans: [aPlan({ epoch: "e" })] });
    const terminal = recordTerminal();
    const done = runCommandLine(watchCommand(terminal), "--url", publisher.httpUrl);
    await until(() => terminal.output.includes("revision 1"));
    publisher.offer({ epoch: "e", plans: [aPlan({ epoch: "e", revision: 2, reason: "faster" })] });
    await until(() => terminal.output.includes("revision 2"));
    publisher.offer({ epoch: "e", plans: [] });
    await until(() => terminal.output.includes("removed"));
    terminal.interrupt();
    await done;
    expect(linesOf(terminal)).toEqual([
      expect.stringContaining("camera  revision 1  layers 0–9 on cam-1, 12.50 ms  (first plan)"),
      expect.stringContaining("camera  revision 2  layers 0–9 on cam-1, 12.50 ms  (faster)"),
      "camera  removed",
    ]);
  });

  it("prints JSON lines with --json", async () => {
    publisher = await runPublisher();
    const plan = aPlan({ epoch: "e" });
    publisher.offer({ epoch: "e", plans: [] });
    const terminal = recordTerminal();
    const done = runCommandLine(watchCommand(terminal), "--url", publisher.httpUrl, "--json");
    await until(() => terminal.output.includes("snapshot"));
    publisher.offer({ epoch: "e", plans: [plan] });
    await until(() => terminal.output.includes("update"));
    terminal.interrupt();
    await done;
    expect(linesOf(terminal).map((line) => JSON.parse(line) as unknown)).toEqual([
      { kind: "snapshot", epoch: "e", plans: [] },
      { kind: "update", epoch: "e", plan },
    ]);
  });

  it("says that no daemon answers where nothing does", async () => {
    const run = runCommandLine(watchCommand(recordTerminal()), "--url", "http://127.0.0.1:1");
    const error: unknown = await run.catch((failure: unknown) => failure);
    expect(isAppError(error, "DAEMON_UNREACHABLE")).toBe(true);
  });
});
