import tseslint from "typescript-eslint";

const PURE_ROOMS = ["core", "protocol", "model", "zoo", "planner", "drift", "replay"];
/** core/clock.ts and core/teardown.ts are where timers and the wall clock enter the program. */
const TIMER_FILES = ["src/core/clock.ts", "src/core/teardown.ts"];

const impureGlobals = [
  "Date",
  "process",
  "console",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "fetch",
  "performance",
  "crypto",
].map((name) => ({
  name,
  message: "Pure rooms know no clock, environment or I/O; take it as an argument.",
}));

export default tseslint.config(
  { ignores: ["dist/**", "node_modules/**", "src/model/proto/**", "**/*.cjs"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["./test/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 3],
      "no-console": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      "no-restricted-properties": [
        "error",
        {
          object: "Math",
          property: "random",
          message: "Take randomness as an argument (core/random.ts).",
        },
      ],
    },
  },
  {
    files: PURE_ROOMS.map((room) => `src/${room}/**/*.ts`),
    ignores: TIMER_FILES,
    rules: { "no-restricted-globals": ["error", ...impureGlobals] },
  },
  {
    files: ["src/**/*.ts"],
    ignores: [
      "src/cli/**",
      "src/demo/**",
      "src/inference/child*.ts",
      ...PURE_ROOMS.map((room) => `src/${room}/**`),
    ],
    rules: {
      "no-restricted-globals": [
        "error",
        {
          name: "process",
          message: "Only cli/ touches the process; take what is needed as an argument.",
        },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      "max-lines-per-function": "off",
      "no-restricted-properties": "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  { files: ["**/*.js"], ...tseslint.configs.disableTypeChecked },
  { files: ["test/bench/**"], rules: { "no-console": "off" } },
);
