export {
  type BrokerOptions,
  brokerOptionsSchema,
  type MqttOptions,
  mqttOptionsSchema,
  type Peer,
  type ProbeOptions,
  type ProbeServerOptions,
  peerSchema,
  probeOptionsSchema,
  probeServerOptionsSchema,
} from "./options.js";
