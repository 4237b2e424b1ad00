import { Command, Option } from "commander";
import {
  type ConfigProblem,
  type FileKind,
  formatProblem,
  formatProblems,
  loadAgentConfig,
  loadDaemonConfig,
} from "../config/index.js";
import { EXIT_CODES, type Terminal } from "./terminal.js";

export function checkCommand(terminal: Terminal): Command {
  return new Command("check")
    .description("Validate a configuration file and print every error with its line.")
    .argument("<file>", "the YAML file")
    .addOption(
      new Option("--kind <kind>", "whose file it is")
        .choices(["daemon", "agent"])
        .default("daemon"),
    )
    .option("--json", "print one JSON document instead of lines")
    .addHelpText(
      "after",
      `
Exit code 0: valid; 78: it has errors. Warnings do not count.

Examples:
  scissiond check /etc/scissiond/scissiond.yaml
  scissiond check --kind agent agent.yaml --json`,
    )
    .action(async (file: string, options: { kind: FileKind; json?: true }) => {
      const load = options.kind === "daemon" ? loadDaemonConfig : loadAgentConfig;
      const loaded = await load(file, terminal.env);
      const { warnings } = loaded;
      const errors = loaded.ok ? [] : loaded.errors;
      if (options.json === true) {
        terminal.out(`${JSON.stringify({ file, ok: loaded.ok, errors, warnings }, null, 2)}\n`);
      } else {
        printReport(terminal, { file, errors, warnings });
      }
      if (!loaded.ok) terminal.setExitCode(EXIT_CODES.badConfig);
    });
}

function printReport(
  terminal: Terminal,
  report: { file: string; errors: ConfigProblem[]; warnings: ConfigProblem[] },
): void {
  const { file, errors, warnings } = report;
  for (const warning of warnings) terminal.err(`warning: ${formatProblem(warning)}\n`);
  if (errors.length > 0) terminal.out(`${formatProblems(errors)}\n`);
  else terminal.err(`${file} is valid\n`);
}
