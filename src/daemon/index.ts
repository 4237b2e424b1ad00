export { type Daemon, startDaemon } from "./daemon.js";
export type { DaemonDeps } from "./deps.js";
