// A straight re-implementation of how the original Scission searches, written from a description of
// it (not from its code): every configuration of every device, edge and cloud is made, kept as a
// string in a set so that none occurs twice, priced by adding its blocks up one by one, and put into
// a sorted list of results.

/** A system is { name, seconds: number[], bytes: number[] }; links map "from to" → { ping, mbps }. */
export function enumerateConfigurations({ devices, edges, clouds, links, inputBytes, count }) {
  const scenarios = new Set();
  const blocks = devices[0].seconds.length;
  for (const [d] of devices.entries()) {
    for (const [e] of edges.entries()) {
      for (const [c] of clouds.entries()) {
        for (let first = 0; first <= blocks; first += 1) {
          for (let second = first; second <= blocks; second += 1) {
            // A tier that runs nothing is not told apart by the system's name.
            const edge = second > first ? e : -1;
            const cloud = second < blocks ? c : -1;
            scenarios.add(`${d},${edge},${cloud},${first},${second}`);
          }
        }
      }
    }
  }
  const results = [];
  for (const scenario of scenarios) {
    const priced = price(scenario, { devices, edges, clouds, links, inputBytes });
    insert(results, priced, count);
  }
  return results;
}

function price(scenario, { devices, edges, clouds, links, inputBytes }) {
  const [d, e, c, first, second] = scenario.split(",").map(Number);
  const device = devices[d];
  const edge = edges[e];
  const cloud = clouds[c];
  const blocks = device.seconds.length;
  const runs = [
    { system: device, blocks: device.seconds.slice(0, first) },
    { system: edge, blocks: edge === undefined ? [] : edge.seconds.slice(first, second) },
    { system: cloud, blocks: cloud === undefined ? [] : cloud.seconds.slice(second, blocks) },
  ];
  let seconds = 0;
  for (const run of runs) for (const block of run.blocks) seconds += block;
  let bytes = 0;
  let from = device;
  let sent = first === 0 ? inputBytes : device.bytes[first - 1];
  for (const { system, blocks: own } of runs.slice(1)) {
    if (own.length === 0) continue;
    const link = links.get(`${from.name} ${system.name}`);
    seconds += link.ping / 1_000 + sent / Math.round(link.mbps * 125_000);
    bytes += sent;
    from = system;
    sent = system.bytes[second - 1];
  }
  return { scenario, seconds, bytes };
}

function insert(results, priced, count) {
  let at = results.length;
  while (at > 0 && results[at - 1].seconds > priced.seconds) at -= 1;
  if (at >= count) return;
  results.splice(at, 0, priced);
  if (results.length > count) results.pop();
}
