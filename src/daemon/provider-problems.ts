import type { Context } from "./context.js";

/** What nodes that are online say they lack, in plain words. */
export function providerProblems(context: Pick<Context, "nodes">): string[] {
  return context
    .nodes()
    .flatMap(({ node, status, missingProviders = [] }) =>
      status === "online"
        ? missingProviders.map(
            ({ name, reason }) => `${node}: execution provider ${name} is not available: ${reason}`,
          )
        : [],
    );
}
