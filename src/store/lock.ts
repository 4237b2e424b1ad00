import { readdir, readFile, readlink, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError, errorMessage, type Logger } from "../core/index.js";

const LOCK_NAME = /^lock\.([0-9]{1,9})$/;
const ATTEMPTS_MAX = 10;
/** With no room for a lock the last good plan is still served; nothing can be written anyway. */
const NO_ROOM = ["ENOSPC", "EDQUOT", "EROFS"];
/** Field 22 of /proc/<pid>/stat, counted behind the command name, which may hold spaces and brackets. */
const START_TICKS_FIELD = 22 - 3;

export interface Lock {
  release(): Promise<void>;
}

interface Held {
  number: number;
  path: string;
  /** What lives behind it, in words; undefined where its holder is gone. */
  holder: string | undefined;
}

/**
 * Locks are numbered symbolic links `lock.1`, `lock.2`, …; the target `<boot id>:<pid>:<start time>:<token>`
 * names the holder, so that a killed daemon, a pid that another process got since, or a reboot shows
 * a stale lock. A link is made with its content in one atomic step, and needs no data block.
 *
 * Stale locks are outnumbered, not removed first: of all who saw the same ones, one alone can make
 * the next number. Whoever made one looks again and steps back from any other that lives, so two
 * never both stay, whatever they saw before.
 */
export async function acquireLock(
  directory: string,
  deps: { log: Logger; newId: () => string },
): Promise<Lock> {
  const self = await describeSelf();
  if (self === undefined) {
    deps.log.warn({ directory }, "no /proc here: the state directory is not locked");
    return { release: () => Promise.resolve() };
  }
  const target = `${self}:${deps.newId()}`;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const seen = await readLocks(directory);
    refuseLiving(directory, seen);
    const number = Math.max(0, ...seen.map((lock) => lock.number)) + 1;
    const path = join(directory, `lock.${number}`);
    const outcome = await makeLink(target, path);
    if (outcome === "exists") continue;
    if (outcome === "no room") {
      deps.log.warn({ directory }, "no room to lock the state directory");
      return { release: () => Promise.resolve() };
    }
    const others = (await readLocks(directory)).filter((lock) => lock.number !== number);
    try {
      refuseLiving(directory, others);
    } catch (error) {
      await unlink(path);
      throw error;
    }
    for (const stale of others) await unlink(stale.path).catch(() => undefined);
    return { release: () => releaseLock(path, target) };
  }
  throw lockedError(directory, "others take its lock at the same time");
}

async function makeLink(target: string, path: string): Promise<"made" | "exists" | "no room"> {
  try {
    await symlink(target, path);
    return "made";
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return "exists";
    if (NO_ROOM.includes(code)) return "no room";
    const message = `cannot lock the state directory: ${errorMessage(error)}; make it writable`;
    throw new AppError("STORE_WRITE_FAILED", message, { cause: error });
  }
}

async function readLocks(directory: string): Promise<Held[]> {
  const numbers = (await readdir(directory)).flatMap((name) => {
    const [, digits] = LOCK_NAME.exec(name) ?? [];
    return digits === undefined ? [] : [Number(digits)];
  });
  const locks = await Promise.all(
    numbers.map(async (number): Promise<Held | undefined> => {
      const path = join(directory, `lock.${number}`);
      try {
        return { number, path, holder: await livingHolder(await readlink(path)) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        return { number, path, holder: "something else" };
      }
    }),
  );
  return locks.filter((lock) => lock !== undefined);
}

function refuseLiving(directory: string, locks: readonly Held[]): void {
  const living = locks.find(({ holder }) => holder !== undefined);
  if (living?.holder === undefined) return;
  throw lockedError(directory, `${living.holder} holds ${living.path}`);
}

async function releaseLock(path: string, target: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === target) await unlink(path);
}

async function describeSelf(): Promise<string | undefined> {
  try {
    return await describeProcess(await readlink("/proc/self"));
  } catch {
    return undefined;
  }
}

async function livingHolder(target: string): Promise<string | undefined> {
  const pid = target.split(":")[1] ?? "";
  if (!/^[0-9]+$/.test(pid)) return undefined;
  const living = await describeProcess(pid).catch(() => undefined);
  return living !== undefined && target.startsWith(`${living}:`) ? `process ${pid}` : undefined;
}

/** What tells a process from every other one before and after it on this machine. */
async function describeProcess(pid: string): Promise<string> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie holds nothing any more.
  if (fields[0] === "Z") throw new Error("it has ended");
  return `${bootId}:${pid}:${fields[START_TICKS_FIELD] ?? ""}`;
}

function lockedError(directory: string, holder: string): AppError {
  const message = `the state directory ${directory} is in use: ${holder}; stop that daemon or configure another stateDirectory`;
  return new AppError("STORE_LOCKED", message);
}
