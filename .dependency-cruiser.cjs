/** DESIGN: `src/` is the architecture. Pure rooms know only pure rooms; I/O rooms meet in a root. */
const PURE = "core|protocol|model|zoo|planner|drift|replay";
const IO = "inference|benchmark|telemetry|publisher|store|metrics|config|https|client|runtime";
const ROOTS = "daemon|agent|cli|demo";

/** What an I/O room may import besides itself and the pure rooms. */
const EXCEPTIONS = {
  benchmark: ["inference"],
  client: ["https"],
  runtime: ["inference", "client"],
};

const ioIslands = IO.split("|").map((room) => {
  const allowed = [PURE, room, ...(EXCEPTIONS[room] ?? [])].join("|");
  return {
    name: `${room}-is-an-island`,
    comment: "I/O rooms do not import each other; they meet in a composition root.",
    severity: "error",
    from: { path: `^src/${room}/` },
    to: { path: "^src/", pathNot: `^src/(${allowed})/` },
  };
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "pure-rooms-stay-pure",
      severity: "error",
      from: { path: `^src/(${PURE})/` },
      to: { path: "^src/", pathNot: `^src/(${PURE})/` },
    },
    {
      name: "pure-rooms-know-few-packages",
      severity: "error",
      from: { path: `^src/(${PURE})/` },
      to: {
        dependencyTypes: [
          "npm",
          "npm-dev",
          "npm-optional",
          "npm-peer",
          "core",
          "unknown",
          "undetermined",
        ],
        pathNot:
          "(node_modules/(zod|@bufbuild/protobuf|simple-statistics)/|^(node:)?(assert(/strict)?|crypto)$)",
      },
    },
    // config/ composes the options every room owns, so it alone may see their options.ts; and it reads certificates.
    ...ioIslands.filter((rule) => rule.name !== "config-is-an-island"),
    {
      name: "config-composes-options",
      severity: "error",
      from: { path: "^src/config/" },
      to: { path: "^src/", pathNot: `^src/(${PURE}|config|https)/|^src/(${IO})/options\\.ts$` },
    },
    {
      name: "roots-are-roots",
      severity: "error",
      from: { path: `^src/(?!cli/|demo/)` },
      to: { path: "^src/(cli|demo)/" },
    },
    {
      name: "cross-room-through-index",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: {
        path: "^src/([^/]+)/.+",
        pathNot: ["^src/$1/", "^src/[^/]+/index\\.ts$", "^src/[^/]+/options\\.ts$"],
      },
    },
    {
      name: "only-the-child-loads-onnxruntime",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/inference/child" },
      to: { path: "onnxruntime-node", pathNot: "package\\.json$" },
    },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, pathNot: "\\.d\\.ts$|^src/inference/child|^src/cli/main\\.ts$" },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
    },
  },
};
