// 10,000 connections that say nothing, beside observers that read, and the same observers without them:
// two servers in alternating rounds. The silent ones are closed at the hello time-out with its code and
// counted, further ones are refused by the limits per address and in total, and their memory comes back.
// Target: the p99 of those that read changes by at most a tenth.
import { median, rounded } from "./quantiles.js";
import { startChild, startStream } from "./stream-peers.js";

const TARGET = 1.1;
const READERS = 1_000;
const ADDRESSES = 5;
const PER_ADDRESS = 2_000;
/** The last one comes from an address of its own, and fills the last place. */
const SILENT = ADDRESSES * PER_ADDRESS + 1;
const ROUNDS = Number(process.env.ROUNDS ?? 30);
const WARMUPS = 5;
/** Long enough for all rounds with all of them, however slowly they connect. */
const HELLO_SECONDS = 40;
/** Of one silent connection, to be back once it is gone: less than a tenth of what it takes. */
const LEFT_BYTES_MAX = 1_000;
const HELLO_TIMEOUT_CODE = 4001;
const options = {
  stream: {
    helloTimeoutSeconds: HELLO_SECONDS,
    subscribersMax: SILENT + READERS,
    subscribersPerAddressMax: PER_ADDRESS,
  },
};

const beside = await startStream("publisher", READERS, options);
const alone = await startStream("publisher", READERS, options);
const silent = await startChild("./silent-clients.js");
const { port } = beside.server;
const before = await beside.server.ask({ do: "memory" });
for (let address = 2; address < 2 + ADDRESSES; address += 1) {
  await silent.ask({ do: "connect", port, count: PER_ADDRESS, from: `127.0.0.${address}` });
}
// One too many of its address, one that is admitted, and one too many in total.
for (const from of ["127.0.0.2", "127.0.0.98", "127.0.0.99"]) {
  await silent.ask({ do: "connect", port, count: 1, from });
}
const during = await beside.server.ask({ do: "memory" });
const rounds = await alternate(WARMUPS, ROUNDS);
const open = (await silent.ask({ do: "tell" })).open;

/** While the silent ones are closed, thousands at a time. */
const closing = [];
while ((await silent.ask({ do: "tell" })).open > 0) {
  closing.push(...(await alternate(0, 1)));
  if (closing.length > 100 * HELLO_SECONDS) throw new Error("silent connections are not closed");
}
const { closed, refused } = await silent.ask({ do: "tell" });
const after = await beside.server.ask({ do: "memory" });
const { text } = await beside.server.ask({ do: "metrics" });
for (const each of [silent, beside, alone]) await each.stop();

const p99Of = (pairs, who) => rounded(median(pairs.map((pair) => pair[who].p99Ms)));
const ratio = median(rounds.map((pair) => pair.beside.p99Ms / pair.alone.p99Ms));
const bytesOf = (memory) =>
  Math.round((memory.heapUsed + memory.external - inUse(before)) / SILENT);
const result = {
  name: "silent connections",
  silent: SILENT,
  readers: READERS,
  rounds: rounds.length,
  stillOpenAfterRounds: open,
  p99Ms: p99Of(rounds, "beside"),
  aloneP99Ms: p99Of(rounds, "alone"),
  ratio: rounded(ratio),
  target: TARGET,
  roundsWhileClosing: closing.length,
  p99MsWhileClosing: p99Of(closing, "beside"),
  aloneP99MsMeanwhile: p99Of(closing, "alone"),
  worstP99MsWhileClosing: rounded(Math.max(...closing.map((pair) => pair.beside.p99Ms))),
  aloneWorstP99MsMeanwhile: rounded(Math.max(...closing.map((pair) => pair.alone.p99Ms))),
  closedByCode: closed,
  refusedByStatus: refused,
  countedHelloTimeouts: counted(text, 'scission_stream_closed_total{cause="hello-timeout"}'),
  bytesEach: bytesOf(during),
  bytesLeftEach: bytesOf(after),
  rssMiB: [before, during, after].map(({ rss }) => Math.round(rss / 2 ** 20)),
};
console.log(JSON.stringify(result));
const holds =
  ratio <= TARGET &&
  open === SILENT &&
  refused[429] === 1 &&
  refused[503] === 1 &&
  closed[HELLO_TIMEOUT_CODE] === SILENT &&
  result.countedHelloTimeouts === SILENT &&
  result.bytesLeftEach <= LEFT_BYTES_MAX;
process.exitCode = holds ? 0 : 1;

async function alternate(warmups, count) {
  const pairs = [];
  for (let index = -warmups; index < count; index += 1) {
    const pair = {};
    const order = index % 2 === 0 ? ["beside", "alone"] : ["alone", "beside"];
    for (const who of order) pair[who] = await (who === "beside" ? beside : alone).round();
    if (index >= 0) pairs.push(pair);
  }
  return pairs;
}

function inUse({ heapUsed, external }) {
  return heapUsed + external;
}

function counted(text, metric) {
  const line = text.split("\n").find((each) => each.startsWith(`${metric} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}
