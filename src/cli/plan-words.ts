import type { PlanDocument } from "../protocol/index.js";
import { formatMs } from "./table.js";

/** "layers 0–11 on cam-1 → 12–90 on gpu-1, 83.0 ms". */
export function describePlan(plan: PlanDocument): string {
  const parts = plan.partitions.map(
    ({ node, firstLayer, lastLayer }) =>
      `${firstLayer === lastLayer ? firstLayer : `${firstLayer}–${lastLayer}`} on ${node}`,
  );
  return `layers ${parts.join(" → ")}, ${formatMs(plan.predictedLatencyMs)}`;
}
