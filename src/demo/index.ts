export { type DemoDeps, type DemoOptions, runDemo } from "./demo.js";
export { type LinkEmulator, type LinkEmulatorOptions, startLinkEmulator } from "./link-emulator.js";
