import { Command } from "commander";
import { silentLogger, systemClock } from "../core/index.js";
import { runDemo } from "../demo/index.js";
import type { Terminal } from "./terminal.js";

/** `scissiond demo`: the whole thing on one machine. */
export function demoCommand(terminal: Terminal): Command {
  return new Command("demo")
    .description("Watch a network being re-partitioned, with real processes on this machine.")
    .option("--once", "play the scenario once; exit 0 only if every expected re-plan happened")
    .addHelpText(
      "after",
      `
Examples:
  scissiond demo          until Ctrl-C
  scissiond demo --once   one round, under two minutes`,
    )
    .action(async (options: { once?: boolean }) => {
      await runDemo(
        { once: options.once ?? false },
        {
          log: silentLogger,
          clock: systemClock,
          signal: terminal.signal,
          print: (text) => terminal.out(text.endsWith("\n") ? text : `${text}\n`),
        },
      );
    });
}
