export { createMetrics, type Metrics, type PublisherEventCount } from "./metrics.js";
