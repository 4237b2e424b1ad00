import { AppError, type Clock, type Logger, Teardown } from "../core/index.js";
import { type PlanDocument, parseJson, statusSchema } from "../protocol/index.js";
import { type Change, GOOD_LINKS, type LinkName, type Step, STEPS } from "./scenario.js";
import type { Slowdowns } from "./slowdowns.js";
import { buildStage, type Stage } from "./stage.js";
import { tellLinks, tellPlan } from "./telling.js";

/** The first step includes the benchmark of all three nodes, which a busy machine draws out. */
const FIRST_STEP_TIMEOUT_MS = 240_000;
const STEP_TIMEOUT_MS = 60_000;
const TEARDOWN_STEP_TIMEOUT_MS = 10_000;
const POLL_MS = 100;
const PAUSE_MS = 3_000;

export interface DemoOptions {
  /** One round of the scenario; otherwise round after round until the signal. */
  once: boolean;
}

export interface DemoDeps {
  log: Logger;
  clock: Clock;
  signal: AbortSignal;
  print: (text: string) => void;
}

/**
 * Daemon, broker, two agents and two subscribers as real processes on loopback, over emulated links.
 * Rejects with DEMO_FAILED when a re-plan that the scenario expects does not come.
 */
export async function runDemo(options: DemoOptions, deps: DemoDeps): Promise<void> {
  const { print, signal } = deps;
  const teardown = new Teardown(deps.log, { stepTimeoutMs: TEARDOWN_STEP_TIMEOUT_MS });
  print(TITLE);
  try {
    const links = { ...GOOD_LINKS };
    const stage = await buildStage(links, { ...deps, teardown });
    print(introduction(stage.slowdowns));
    print(`Dashboard, API and update stream: ${stage.url}\n`);
    for (let round = 0; !signal.aborted; round += 1) {
      for (const [index, step] of STEPS.entries()) {
        print(`\n${index + 1}. ${step.title}`);
        await play(step, { stage, links, deps });
        await deps.clock.sleep(options.once ? 0 : PAUSE_MS, signal);
      }
      if (options.once) break;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await teardown.run();
  }
  if (!signal.aborted) print("\nEvery expected re-plan happened.\n");
}

const TITLE = "scissiond demo: three tiers on one machine, one neural network cut over them\n";

function introduction(slowdowns: Slowdowns): string {
  return `
    cam-1    device  computes ${slowdowns["cam-1"]}× slower than this machine (emulated)
    edge-1   edge    computes ${slowdowns["edge-1"]}× slower (emulated); runs the daemon and the broker
    gpu-1    cloud   computes at this machine's own speed

MobileNet serves the pictures of cam-1; the raw pictures must not leave the device.
The links between the three are emulated too; their probes measure them as they would real ones.
`;
}

interface Scene {
  stage: Stage;
  links: Record<LinkName, { rttMs: number; bandwidthMbps: number }>;
  deps: DemoDeps;
}

/** Makes the change, then waits until both subscribers hold the plan that is expected. */
async function play(step: Step, scene: Scene): Promise<void> {
  const { stage, deps } = scene;
  const { clock, print } = deps;
  const startedMs = clock.monotonicMs();
  await apply(step.change, scene);
  if (step.change.kind === "links") print(tellLinks(scene.links));
  print(`  Expected: ${step.expectation}.`);

  const plan = await awaitPlan(step, stage, deps);
  const seconds = ((clock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  print(`\n${tellPlan(plan)}`);
  print(`  Why: ${plan.reason}`);
  print(`  Both subscribers have it ${seconds} s after the change.`);
}

async function apply(change: Change, { stage, links }: Scene): Promise<void> {
  switch (change.kind) {
    case "links":
      Object.assign(links, change.links);
      for (const [name, emulator] of stage.links) emulator.set(links[name]);
      return;
    case "cloud-vanishes":
      await stage.killCloud();
      return;
    case "cloud-returns":
      stage.startCloud();
      return;
  }
}

async function awaitPlan(step: Step, stage: Stage, deps: DemoDeps): Promise<PlanDocument> {
  const { clock, signal, print } = deps;
  const timeoutMs = step === STEPS[0] ? FIRST_STEP_TIMEOUT_MS : STEP_TIMEOUT_MS;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  let told: string | null = null;
  for (;;) {
    const [first, ...others] = stage.subscribers.map((subscriber) => subscriber.plan());
    const isAgreed = others.every((plan) => plan?.revision === first?.revision);
    if (first !== undefined && isAgreed && step.expects(first)) return first;

    failOnCasualty(stage);
    if (signal.aborted) throw new AppError("ABORTED", "the demo was stopped");
    if (clock.monotonicMs() > deadlineMs) {
      const got = first === undefined ? "no plan at all" : `this one:\n${tellPlan(first)}`;
      const message = `expected within ${timeoutMs / 1_000} s: ${step.expectation}; got ${got}`;
      throw new AppError("DEMO_FAILED", message);
    }
    const measuring = await runningMeasurement(stage.url);
    if (measuring !== null && measuring !== told) print(`  ${measuring} …`);
    told = measuring;
    await clock.sleep(POLL_MS, signal);
  }
}

function failOnCasualty(stage: Stage): void {
  const casualty = stage.casualty();
  if (casualty === undefined) return;
  const lines = casualty.lastLines().join("\n");
  throw new AppError("DEMO_FAILED", `the ${casualty.name} ended; its last lines:\n${lines}`);
}

/** What the daemon measures at this moment, by its own word; null for nothing or no answer. */
async function runningMeasurement(url: string): Promise<string | null> {
  try {
    const response = await fetch(`${url}/api/v1/status`);
    const status = parseJson(await response.text(), statusSchema);
    if (!status.ok) return null;
    const { running, confirming } = status.value.benchmark;
    if (confirming !== undefined) return `Confirming ${confirming}`;
    return running === null ? null : `Benchmark of ${running}`;
  } catch {
    return null;
  }
}
