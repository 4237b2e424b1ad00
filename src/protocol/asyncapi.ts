import {
  CLIENT_MESSAGE_TYPES,
  messageSchemas,
  type MqttMessageName,
  SERVER_MESSAGE_TYPES,
} from "./messages.js";
import { UPDATES_PATH, UPDATES_SUBPROTOCOL } from "./updates.js";

interface MqttChannel {
  /** Below `scission/v1/{site}/`. */
  address: string;
  messages: readonly MqttMessageName[];
  /** What the daemon does with it. */
  action: "send" | "receive";
  isRetained: boolean;
  description: string;
}

const MQTT_ROOT = "scission/v1/{site}";

/** The topics between daemon and agents, by name. */
export const MQTT_CHANNELS = {
  nodeStates: {
    address: "nodes/{node}/state",
    messages: ["nodeState"],
    action: "receive",
    isRetained: true,
    description: "State of a node, and its last will.",
  },
  links: {
    address: "links/{from}/{to}",
    messages: ["linkReport"],
    action: "receive",
    isRetained: false,
    description: "A measurement of a directed link, by anything that can measure.",
  },
  profiles: {
    address: "nodes/{node}/profiles/{model}",
    messages: ["profile"],
    action: "receive",
    isRetained: true,
    description: "The newest profile of a model, named by SHA-256, on a node.",
  },
  progress: {
    address: "nodes/{node}/progress",
    messages: ["progress"],
    action: "receive",
    isRetained: false,
    description: "How far the benchmark is that the node does.",
  },
  commands: {
    address: "nodes/{node}/commands/{command}",
    messages: ["benchmarkCommand", "measureCommand", "yieldCommand"],
    action: "send",
    isRetained: false,
    description: "A request to an agent. A retained one is ignored.",
  },
  responses: {
    address: "nodes/{node}/responses/{command}",
    messages: ["commandResponse"],
    action: "receive",
    isRetained: false,
    description: "An agent's answer to a command.",
  },
  plans: {
    address: "partitions/{pipeline}",
    messages: ["plan"],
    action: "send",
    isRetained: true,
    description: "Mirror of the plan in force; empty when the pipeline is gone.",
  },
} as const satisfies Record<string, MqttChannel>;

/** The AsyncAPI 3 document of update stream and MQTT, as the daemon sees them. */
export function asyncApi(version: string): object {
  const mqtt = Object.entries(MQTT_CHANNELS);
  return {
    asyncapi: "3.0.0",
    info: {
      title: "scissiond",
      version,
      description: "The update stream for inference runtimes, and MQTT between daemon and agents.",
      license: { name: "Apache-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      daemon: { host: "edge-1:8420", protocol: "ws", description: "The daemon's HTTP port." },
      broker: { host: "edge-1:1883", protocol: "mqtt", description: "Any MQTT 3.1.1 broker." },
    },
    channels: {
      updates: updatesChannel(),
      ...Object.fromEntries(mqtt.map(([name, channel]) => [name, mqttChannel(channel)])),
    },
    operations: {
      hearClient: operation("receive", "updates", CLIENT_MESSAGE_TYPES),
      tellClient: operation("send", "updates", SERVER_MESSAGE_TYPES),
      ...Object.fromEntries(
        mqtt.map(([name, { action, messages, isRetained }]) => [
          `${action}${name.charAt(0).toUpperCase()}${name.slice(1)}`,
          {
            ...operation(action, name, messages),
            bindings: {
              mqtt: { qos: name === "links" || name === "progress" ? 0 : 1, retain: isRetained },
            },
          },
        ]),
      ),
    },
    components: {
      messages: Object.fromEntries(
        messageNames().map((name) => [
          name,
          { name, payload: { $ref: `#/components/schemas/${name}` } },
        ]),
      ),
      schemas: messageSchemas(),
    },
  };
}

function messageNames(): string[] {
  const mqtt = Object.values(MQTT_CHANNELS).flatMap(({ messages }) => messages);
  return [...CLIENT_MESSAGE_TYPES, ...SERVER_MESSAGE_TYPES, ...mqtt];
}

function updatesChannel(): object {
  return {
    address: UPDATES_PATH,
    description: `WebSocket with the subprotocol ${UPDATES_SUBPROTOCOL}; see protocol.md.`,
    servers: [{ $ref: "#/servers/daemon" }],
    messages: references([...CLIENT_MESSAGE_TYPES, ...SERVER_MESSAGE_TYPES]),
    bindings: { ws: { method: "GET", bindingVersion: "0.1.0" } },
  };
}

function mqttChannel({ address, messages, description }: MqttChannel): object {
  const full = `${MQTT_ROOT}/${address}`;
  const parameters = [...full.matchAll(/\{(\w+)\}/g)].map((match): [string, object] => [
    match[1] ?? "",
    {},
  ]);
  return {
    address: full,
    description,
    servers: [{ $ref: "#/servers/broker" }],
    messages: references(messages),
    parameters: Object.fromEntries(parameters),
  };
}

function references(names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]));
}

function operation(action: string, channel: string, messages: readonly string[]): object {
  return {
    action,
    channel: { $ref: `#/channels/${channel}` },
    messages: messages.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` })),
  };
}
