import { join } from "node:path";
import { startRecorder } from "../store/index.js";
import type { Running } from "./running.js";

/** Records what is heard and decided, where that is wanted. */
export async function startRecording(running: Running): Promise<void> {
  const { config } = running.desired;
  if (!config.recording.enabled) return;
  const recorder = await startRecorder(
    { ...config.recording, directory: join(config.stateDirectory, "recording") },
    { log: running.log.child({ component: "recorder" }), clock: running.clock },
  );
  running.teardown.defer("recorder", () => recorder.stop());
  running.parts.recorder = recorder;
}
