export { type AgentFile, agentFileSchema } from "./agent-schema.js";
export { type DaemonFile, daemonFileSchema } from "./daemon-schema.js";
export type { Environment } from "./environment.js";
export { type Loaded, loadAgentConfig, loadDaemonConfig } from "./load.js";
export { type DeviceSelector, matchesDevice, pipelineName } from "./pipelines.js";
export { type ConfigProblem, configInvalid, formatProblem, formatProblems } from "./problem.js";
export type { AgentConfig, DaemonConfig, PipelineConfig } from "./resolved.js";
export { hasDaylightSaving, type ScheduleConfig } from "./schedule.js";
export type { ModelConfig } from "./sections.js";
