import { readFile, readlink, rename, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { AppError, errorMessage, type Logger } from "../core/index.js";

const LOCK_NAME = "lock";
const ATTEMPTS_MAX = 5;
/** Field 22 of /proc/<pid>/stat, counted behind the command name, which may hold spaces and brackets. */
const START_TICKS_FIELD = 22 - 3;

/**
 * The lock is a symbolic link whose target names its holder: made with its content in one atomic
 * step, and without a data block, so that a full disk does not stand in the way.
 * The target is `<boot id>:<pid>:<start time>:<token>`; a pid that was given to another process
 * since, or a reboot, shows a stale lock.
 */
export async function acquireLock(
  directory: string,
  deps: { log: Logger; newId: () => string },
): Promise<{ release(): Promise<void> }> {
  const path = join(directory, LOCK_NAME);
  const self = await describeSelf();
  if (self === undefined) {
    deps.log.warn({ directory }, "no /proc here: the state directory is not locked");
    return { release: () => Promise.resolve() };
  }
  const target = `${self}:${deps.newId()}`;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    try {
      await symlink(target, path);
      return { release: () => releaseLock(path, target) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        const message = `cannot lock ${directory}: ${errorMessage(error)}; make it writable`;
        throw new AppError("STORE_WRITE_FAILED", message, { cause: error });
      }
    }
    await removeStaleLock(path, directory, deps);
  }
  throw lockedError(directory, "others take its lock at the same time");
}

async function removeStaleLock(
  path: string,
  directory: string,
  deps: { log: Logger; newId: () => string },
): Promise<void> {
  const holder = await readlink(path).catch(() => undefined);
  if (holder === undefined) return;
  const pid = await livingHolder(holder);
  if (pid !== undefined) throw lockedError(directory, `process ${pid} holds ${path}`);
  // Renaming rather than unlinking shows whether another process took the stale lock meanwhile.
  const aside = `${path}.stale-${deps.newId()}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  const taken = await readlink(aside);
  if (taken !== holder) await symlink(taken, path).catch(() => undefined);
  else deps.log.info({ holder }, "took over the lock of a daemon that is gone");
  await unlink(aside);
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

async function livingHolder(holder: string): Promise<string | undefined> {
  const pid = holder.split(":")[1] ?? "";
  if (!/^[0-9]+$/.test(pid)) return undefined;
  const living = await describeProcess(pid).catch(() => undefined);
  return living !== undefined && holder.startsWith(`${living}:`) ? pid : undefined;
}

/** What tells a process from every other one before and after it on this machine. */
async function describeProcess(pid: string): Promise<string> {
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const startTicks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TICKS_FIELD] ?? "";
  return `${bootId}:${pid}:${startTicks}`;
}

function lockedError(directory: string, holder: string): AppError {
  const message = `the state directory ${directory} is in use: ${holder}; stop that daemon or configure another stateDirectory`;
  return new AppError("STORE_LOCKED", message);
}
