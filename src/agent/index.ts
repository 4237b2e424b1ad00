export { type Agent, type AgentDeps, startAgent } from "./agent.js";
export type { AgentOptions } from "./options.js";
