// Child of the intake benchmark: publishes link reports as fast as the broker takes them.
import { connectAsync } from "mqtt";

const LINKS = 200;
const [url = ""] = process.argv.slice(2);
const client = await connectAsync(url);

process.on("message", ({ topicRoot, count }) => {
  process.send({ begun: true });
  for (let index = 0; index < count; index += 1) {
    const report = { rttMs: 10 + (index % 7), bandwidthMbps: 100 - (index % 13), lossPercent: 0 };
    const link = index % LINKS;
    client.publish(`${topicRoot}/links/cam-${link}/edge-1`, JSON.stringify(report), { qos: 0 });
  }
});
process.send({ ready: true });
