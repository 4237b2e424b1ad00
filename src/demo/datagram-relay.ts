import { createSocket, type Socket } from "node:dgram";
import type { Random } from "../core/index.js";
import type { Line, Shaper } from "./shaper.js";

const HOST = "127.0.0.1";
const CLIENTS_MAX = 64;

export interface DatagramRelayOptions {
  port: number;
  target: { host: string; port: number };
  /** In each direction. */
  lossPercent: number;
  isDropped: () => boolean;
}

/**
 * Passes UDP datagrams through the shapers of a link. What would have to wait in front of a full link
 * is lost. Where the port is taken nothing passes, as through a firewall.
 */
export async function startDatagramRelay(
  { port, target, lossPercent, isDropped }: DatagramRelayOptions,
  { up, down, random }: { up: Shaper; down: Shaper; random: Random },
): Promise<{ stop(): Promise<void> }> {
  const near = createSocket("udp4");
  const clients = new Map<string, Client>();
  const isLost = (): boolean => isDropped() || random() * 100 < lossPercent;
  near.on("error", () => undefined);
  near.on("message", (datagram, from) => {
    const key = `${from.address}:${from.port}`;
    let client = clients.get(key);
    if (client === undefined) {
      if (clients.size >= CLIENTS_MAX) return;
      const far = createSocket("udp4");
      far.on("error", () => undefined);
      const back = datagramLine(down, (bytes) => near.send(bytes, from.port, from.address));
      far.on("message", (bytes) => {
        if (!isLost()) back.send(bytes);
      });
      client = {
        far,
        back,
        forth: datagramLine(up, (bytes) => far.send(bytes, target.port, target.host)),
      };
      clients.set(key, client);
    }
    if (!isLost()) client.forth.send(datagram);
  });
  await new Promise<void>((resolve) => {
    near.once("error", () => resolve());
    near.bind(port, HOST, () => resolve());
  });
  return {
    stop: async () => {
      for (const { far, forth, back } of clients.values()) {
        forth.close();
        back.close();
        far.close();
      }
      await new Promise<void>((resolve) => near.close(() => resolve()));
    },
  };
}

interface Client {
  far: Socket;
  forth: Pick<Line, "send" | "close">;
  back: Pick<Line, "send" | "close">;
}

/** A line of a shaper hands over slices; these are put together to the datagrams that they were. */
function datagramLine(
  shaper: Shaper,
  deliver: (datagram: Buffer) => void,
): Pick<Line, "send" | "close"> {
  const sizes: number[] = [];
  let arrived: Buffer[] = [];
  let arrivedBytes = 0;
  let isFull = false;
  const line = shaper.open({
    deliver: (slice) => {
      arrived.push(slice);
      arrivedBytes += slice.length;
      if (arrivedBytes < (sizes[0] ?? 0)) return;
      deliver(Buffer.concat(arrived));
      sizes.shift();
      arrived = [];
      arrivedBytes = 0;
    },
    end: () => undefined,
    pause: () => {
      isFull = true;
    },
    resume: () => {
      isFull = false;
    },
  });
  return {
    send: (datagram) => {
      if (isFull || datagram.length === 0) return;
      sizes.push(datagram.length);
      line.send(datagram);
    },
    close: () => line.close(),
  };
}
