import { randomUUID } from "node:crypto";
import { Command } from "commander";
import { startAgent } from "../agent/index.js";
import { loadAgentConfig } from "../config/index.js";
import { systemClock } from "../core/index.js";
import { runService } from "./service.js";
import type { Terminal } from "./terminal.js";
import { onnxruntimeVersion, VERSION } from "./version.js";

export function agentCommand(terminal: Terminal): Command {
  return new Command("agent")
    .description("Run the agent of a device or cloud node until it is told to stop.")
    .requiredOption("--config <file>", "the agent's YAML file")
    .addHelpText(
      "after",
      `
The agent benchmarks models when the daemon asks, measures the links to its peers, and reports over
MQTT. It writes a log of JSON lines to standard output and stays connected for ever.

Examples:
  scissiond agent --config /etc/scissiond/agent.yaml
  scissiond check --kind agent /etc/scissiond/agent.yaml`,
    )
    .action(async ({ config: file }: { config: string }) => {
      await runService(terminal, {
        load: () => loadAgentConfig(file, terminal.env),
        start: async (config, log) => {
          const agent = await startAgent(config, {
            log,
            clock: systemClock,
            // eslint-disable-next-line no-restricted-properties -- here randomness enters the program
            random: Math.random,
            newId: randomUUID,
            version: VERSION,
            versions: { node: process.versions.node, onnxruntime: onnxruntimeVersion() },
          });
          const { name, tier } = config.node;
          return { summary: `agent of ${name} (${tier})`, stop: () => agent.stop() };
        },
      });
    });
}
