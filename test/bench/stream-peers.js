import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A child of this folder that obeys commands over IPC, one answer each unless said otherwise. */
export async function startChild(file, args = []) {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: [
      "--expose-gc",
      ...(process.env.CPU_PROF === undefined
        ? []
        : ["--cpu-prof", "--cpu-prof-dir", process.env.CPU_PROF]),
    ],
  });
  child.once("exit", (code) => {
    if (code) throw new Error(`${file} ended with ${code}`);
  });
  const next = async () => (await once(child, "message"))[0];
  const first = await next();
  return {
    ...first,
    ask(command) {
      const answer = next();
      child.send(command);
      return answer;
    },
    next,
    async stop() {
      child.removeAllListeners("exit");
      const ended = once(child, "exit");
      child.kill(process.env.CPU_PROF === undefined ? "SIGKILL" : "SIGINT");
      await ended;
    },
  };
}

/** A server of this kind and a process with so many observers of it; `options` differ from the usual. */
export async function startStream(kind, count, options = {}) {
  const server = await startChild("./stream-server.js", [kind, JSON.stringify(options)]);
  const clients = await startChild("./stream-clients.js");
  if (count > 0) await clients.ask({ do: "connect", port: server.port, count });
  let revision = 1;
  return {
    server,
    clients,
    /** Revisions go on from here. */
    skipTo(next) {
      revision = next;
    },
    /** One update to all: milliseconds until half, 99 % and all of them have it. */
    async round(reasonBytes = 0) {
      await clients.ask({ do: "await" });
      revision += 1;
      const told = clients.next();
      const { sentMs } = await server.ask({ do: "broadcast", revision, reasonBytes });
      const { p50Ms, p99Ms, lastMs } = await told;
      return { p50Ms: p50Ms - sentMs, p99Ms: p99Ms - sentMs, lastMs: lastMs - sentMs };
    },
    async stop() {
      await clients.stop();
      await server.stop();
    },
  };
}
