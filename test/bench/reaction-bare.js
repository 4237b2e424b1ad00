// Child of the reaction benchmark: the least that could react. A message over MQTT is written to a file,
// flushed, and sent to every WebSocket client; nothing is checked, decided or planned.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { WebSocketServer } from "ws";

const FRAME_BYTES = 4_096;
const [url = "", topic = "", directory = ""] = process.argv.slice(2);
const file = await open(join(directory, "bare"), "w");
await file.write(Buffer.alloc(1_048_576), 0, null, 0);
await file.sync();
const sockets = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
const client = await connectAsync(url);
client.on("message", async (_topic, payload) => {
  const frame = Buffer.alloc(FRAME_BYTES, 32);
  payload.copy(frame);
  await file.write(frame, 0, null, 0);
  await file.datasync();
  for (const socket of sockets.clients) socket.send(frame, { binary: false });
});
await client.subscribeAsync(topic);
process.send({ port: sockets.address().port });
