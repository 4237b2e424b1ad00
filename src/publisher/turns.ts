/** Members served before other events get their turn: some thousands must not block the loop. */
const MEMBERS_PER_TURN = 256;

/** Calls `act` for every member there is now, with pauses in which other events run. */
export async function inTurns<T>(members: ReadonlySet<T>, act: (member: T) => void): Promise<void> {
  let served = 0;
  for (const member of [...members]) {
    act(member);
    served += 1;
    if (served % MEMBERS_PER_TURN === 0) await nextTurn();
  }
}

/**
 * Returns a function that asks for one pass over all members. Requests before the pass begins are
 * served by it; one in mid-pass asks for one more, so that nobody waits for an endless series.
 */
export function createBroadcast<T>(members: ReadonlySet<T>, act: (member: T) => void): () => void {
  let wanted = false;
  let running = false;

  async function run(): Promise<void> {
    running = true;
    while (wanted) {
      await nextTurn();
      wanted = false;
      await inTurns(members, act);
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
