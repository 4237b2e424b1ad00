// Child of the update stream's benchmarks: the publisher (`publisher`), or bare `ws` that broadcasts the
// same bytes (`ws`). Commands come over IPC; every answer says the times on the machine's monotonic clock.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { seededRandom, silentLogger, systemClock } from "../../dist/core/index.js";
import { createMetrics } from "../../dist/metrics/index.js";
import { publisherOptionsSchema } from "../../dist/publisher/options.js";
import { startPublisher } from "../../dist/publisher/index.js";
import { monotonicMs } from "./quantiles.js";
import { planOfRevision } from "./stream-plan.js";

const HOUR_SECONDS = 3_600;
const [kind = "publisher", options = "{}"] = process.argv.slice(2);
const server = kind === "ws" ? await bareServer() : await publisherServer();

process.on("message", async (command) => {
  switch (command.do) {
    case "broadcast": {
      const sentMs = monotonicMs();
      server.broadcast(command.revision, command.reasonBytes ?? 0);
      process.send({ sentMs });
      return;
    }
    case "memory":
      process.send({ ...(await settledMemory()), clients: server.clients() });
      return;
    case "metrics":
      process.send({ text: await server.metrics() });
  }
});
// An ordinary end, so that a processor profile is written where one is asked for.
process.on("SIGINT", () => process.exit());
process.send({ port: server.port });

/** Resident bytes once garbage is gone. */
async function settledMemory() {
  for (let round = 0; round < 5; round += 1) {
    globalThis.gc();
    await systemClock.sleep(200);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, external };
}

/** As the daemon starts it, its metrics included; nothing but updates is sent during a measurement. */
async function publisherServer() {
  const metrics = createMetrics({
    version: "bench",
    nodeVersion: "bench",
    onnxruntimeVersion: "bench",
  });
  const publisher = await startPublisher(
    publisherOptionsSchema.parse({
      port: 0,
      http: { connectionsMax: 20_000 },
      stream: {
        subscribersMax: 20_000,
        subscribersPerAddressMax: 20_000,
        heartbeatSeconds: HOUR_SECONDS,
        pingSeconds: HOUR_SECONDS,
        flushTimeoutSeconds: HOUR_SECONDS,
        helloTimeoutSeconds: HOUR_SECONDS,
        ...JSON.parse(options).stream,
      },
    }),
    {
      log: silentLogger,
      clock: systemClock,
      random: seededRandom(1),
      metrics: { contentType: metrics.contentType, render: () => metrics.render() },
      api: {},
      onEvent: (event) => metrics.publisherEvent(event),
    },
  );
  const offer = (revision, reasonBytes) => {
    const plan = planOfRevision(revision, reasonBytes);
    publisher.offer({ epoch: plan.epoch, plans: [plan] });
  };
  offer(1, 0);
  return {
    port: publisher.port,
    broadcast: offer,
    clients: () => publisher.subscribers(),
    metrics: () => metrics.render(),
  };
}

/** Greets like the publisher, so that memory and the first frames compare. */
async function bareServer() {
  const http = createServer();
  const sockets = new WebSocketServer({
    server: http,
    perMessageDeflate: false,
    handleProtocols: () => "scission.updates.v1",
  });
  const frameOf = (revision, reasonBytes) =>
    Buffer.from(
      JSON.stringify({
        type: "update",
        epoch: "bench",
        nonce: `1abcde-${revision}`,
        plan: planOfRevision(revision, reasonBytes),
      }),
    );
  const greeting = frameOf(1, 0);
  sockets.on("connection", (socket) => {
    socket.on("message", () => socket.send(greeting, { binary: false }));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    port: http.address().port,
    broadcast(revision, reasonBytes) {
      const frame = frameOf(revision, reasonBytes);
      for (const socket of sockets.clients) socket.send(frame, { binary: false });
    },
    clients: () => sockets.clients.size,
  };
}
