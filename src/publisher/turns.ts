import type { Clock } from "../core/index.js";

/** Members served between two looks at the clock. */
const MEMBERS_PER_LOOK = 64;
/** Then other events get their turn: some thousands of members must not block the loop. */
const TURN_MS_MAX = 10;

/** Calls `act` for every member there is now, with pauses in which other events run. */
export async function inTurns<T>(
  members: ReadonlySet<T>,
  act: (member: T) => void,
  clock: Pick<Clock, "monotonicMs">,
): Promise<void> {
  let served = 0;
  let turnBeganMs = clock.monotonicMs();
  for (const member of [...members]) {
    act(member);
    served += 1;
    if (served % MEMBERS_PER_LOOK !== 0) continue;
    if (clock.monotonicMs() - turnBeganMs < TURN_MS_MAX) continue;
    await nextTurn();
    turnBeganMs = clock.monotonicMs();
  }
}

/**
 * Returns a function that asks for one pass over all members. Requests before the pass begins are
 * served by it; one in mid-pass asks for one more, so that nobody waits for an endless series.
 */
export function createBroadcast<T>(
  members: ReadonlySet<T>,
  act: (member: T) => void,
  clock: Pick<Clock, "monotonicMs">,
): () => void {
  let wanted = false;
  let running = false;

  async function run(): Promise<void> {
    running = true;
    // Not a turn of the loop later: whoever asks has other work that can wait for the subscribers.
    await Promise.resolve();
    while (wanted) {
      wanted = false;
      await inTurns(members, act, clock);
      await nextTurn();
    }
    running = false;
  }

  return () => {
    wanted = true;
    if (!running) void run();
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
