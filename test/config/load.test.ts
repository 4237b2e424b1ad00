import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type Environment,
  formatProblem,
  loadAgentConfig,
  loadDaemonConfig,
} from "../../src/config/index.js";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "scissiond-config-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function daemon(text: string | Uint8Array, environment: Environment = {}) {
  const path = join(directory, "scissiond.yaml");
  await writeFile(path, text);
  return loadDaemonConfig(path, environment);
}

/** What is wrong, one line each, without the name of the directory. */
async function errorsOf(text: string | Uint8Array, environment: Environment = {}) {
  const loaded = await daemon(text, environment);
  if (loaded.ok) throw new Error("it was accepted");
  return loaded.errors.map((error) => formatProblem(error).replaceAll(`${directory}/`, ""));
}

async function accepted(text: string, environment: Environment = {}) {
  const loaded = await daemon(text, environment);
  if (!loaded.ok) throw new Error(loaded.errors.map(formatProblem).join("\n"));
  return loaded;
}

const REFUSED: readonly [title: string, yaml: string, lines: string[]][] = [
  [
    "an unknown key, with the one that was meant",
    "listen:\n  prot: 80\n",
    ['scissiond.yaml:2:3 listen.prot: unknown key; did you mean "port"?'],
  ],
  [
    "an unknown key that resembles none, with all that are known",
    "log:\n  destination: x\n",
    ["scissiond.yaml:2:3 log.destination: unknown key; known here: level"],
  ],
  [
    "a wrong type",
    "listen: {port: high}\n",
    ["scissiond.yaml:1:16 listen.port: expected number, got string"],
  ],
  [
    "a value out of range",
    "thresholds:\n  minGainPercent: 101\n",
    ["scissiond.yaml:2:19 thresholds.minGainPercent: too big: expected number to be <=100"],
  ],
  [
    "a missing key, at the place where it belongs",
    "models:\n  - name: net\n",
    ["scissiond.yaml:2:5 models[0].path: missing: string"],
  ],
  [
    "a word that is none of the allowed ones",
    "log:\n  level: inof\n",
    [
      'scissiond.yaml:2:10 log.level: expected one of debug, info, warn, error; did you mean "info"?',
    ],
  ],
  ["a list as the document", "- a\n- b\n", ["scissiond.yaml:1:1: expected object, got array"]],
  [
    "a key that would be a prototype",
    "__proto__: {a: 1}\n",
    [
      expect.stringMatching(
        /^scissiond.yaml:1:1 __proto__: unknown key; known here: site, /,
      ) as string,
    ],
  ],
  [
    "a pipeline of a model that is not defined",
    "models:\n  - {name: resnet, path: a.onnx}\npipelines:\n  - {name: p, model: resent, devices: [d]}\n",
    ['scissiond.yaml:4:22 pipelines[0].model: no model "resent"; did you mean "resnet"?'],
  ],
  [
    "a name that is used twice",
    "models:\n  - {name: net, path: a.onnx}\n  - {name: net, path: b.onnx}\n",
    ["scissiond.yaml:3:12 models[1].name: this model name is used above: net"],
  ],
  [
    "two pipelines that meet in one name",
    "models: [{name: m, path: a.onnx}]\npipelines:\n  - {name: a, model: m, devices: [b-c]}\n  - {name: a-b, model: m, devices: [c]}\n",
    ["scissiond.yaml:4:37 pipelines[1].devices[0]: this pipeline exists already: a-b-c"],
  ],
  [
    "the fault inside the form of devices that was meant",
    "models: [{name: m, path: a.onnx}]\npipelines:\n  - {name: a, model: m, devices: {name: cam-1}}\n",
    [
      "scissiond.yaml:3:34 pipelines[0].devices: give names or hardwareClass",
      'scissiond.yaml:3:35 pipelines[0].devices.name: unknown key; did you mean "names"?',
    ],
  ],
  [
    "both forms of devices, where neither was meant",
    "models: [{name: m, path: a.onnx}]\npipelines:\n  - {name: a, model: m, devices: 7}\n",
    [
      "scissiond.yaml:3:34 pipelines[0].devices: expected array, got number, or expected object, got number",
    ],
  ],
  [
    "a threshold that no pipeline may override",
    "models: [{name: m, path: a.onnx}]\npipelines:\n  - name: a\n    model: m\n    devices: [d]\n    thresholds: {holdSecond: 1}\n",
    [
      'scissiond.yaml:6:18 pipelines[0].thresholds.holdSecond: unknown key; did you mean "holdSeconds"?',
    ],
  ],
  [
    "a cron expression that never comes",
    "schedule:\n  benchmark: 0 3 30 2 *\n",
    [
      expect.stringMatching(
        /^scissiond.yaml:2:14 schedule.benchmark: not a cron expression/,
      ) as string,
    ],
  ],
  [
    "a time zone that does not exist",
    "schedule: {timezone: Europe/Atlantis}\n",
    ['scissiond.yaml:1:22 schedule.timezone: not a time zone; write "UTC" or "Europe/Berlin"'],
  ],
  [
    "a password twice, and without a user",
    "mqtt:\n  password: a\n  passwordFile: b\n",
    [
      "scissiond.yaml:2:3 mqtt.password: give username as well",
      "scissiond.yaml:3:3 mqtt.passwordFile: give either password or passwordFile",
      expect.stringMatching(
        /^scissiond.yaml:3:17 mqtt.passwordFile: cannot read the file: ENOENT/,
      ) as string,
    ],
  ],
  [
    "a port that others reach, unless told so",
    "listen: {host: 0.0.0.0}\n",
    [
      "scissiond.yaml:1:16 listen.host: 0.0.0.0 can be reached from other machines, and anybody there could read plans and models; listen on 127.0.0.1, set both listen.tls and listen.clients, or set listen.allowUnprotected: true",
    ],
  ],
  [
    "a login in the URL",
    "mqtt: {url: 'mqtt://me:secret@host'}\n",
    ["scissiond.yaml:1:13 mqtt.url: use mqtt://, mqtts://, ws:// or wss://, without a login"],
  ],
  [
    "a variable that is not set",
    "site: ${SITE}\n",
    [
      "scissiond.yaml:1:7 site: the environment variable SITE is not set; set it, or write ${SITE:-default}",
      "scissiond.yaml:1:7 site: use 1 to 63 of a-z, 0-9 and -",
    ],
  ],
  [
    "a variable that is not closed",
    "stateDirectory: ${STATE\n",
    [
      "scissiond.yaml:1:17 stateDirectory: write ${NAME} or ${NAME:-default}, and $${ for the characters themselves",
    ],
  ],
];

describe("loadDaemonConfig refuses", () => {
  it.each(REFUSED)("%s", async (_title, yaml, lines) => {
    expect(await errorsOf(yaml)).toEqual(lines);
  });

  it("all errors at once, in the order of the file", async () => {
    const errors = await errorsOf(
      "sitte: x\nlisten:\n  port: -1\nmodels:\n  - {name: UPPER, path: a.onnx}\npipelines:\n  - {name: p, model: nothing, devices: []}\n",
    );
    expect(errors.map((line) => line.split(" ")[0])).toEqual([
      "scissiond.yaml:1:1",
      "scissiond.yaml:3:9",
      "scissiond.yaml:5:12",
      "scissiond.yaml:7:22",
      "scissiond.yaml:7:40",
    ]);
  });

  it("duplicate keys, along with everything else", async () => {
    const errors = await errorsOf("site: a\nsite: b\nlog: {level: loud}\n");
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(/^scissiond.yaml:2:1: Map keys must be unique/);
    expect(errors[1]).toMatch(/^scissiond.yaml:3:14 log.level/);
  });

  it("broken YAML, with the line and a caret", async () => {
    const [error, ...others] = await errorsOf("site: a\nnode: {name: b\nlog: {}\n");
    expect(others).toEqual([]);
    expect(error).toMatch(/^scissiond.yaml:3:1: .*\nlog: \{\}\n\^/s);
  });

  it("aliases that grow without bound, at once", async () => {
    const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
    for (let level = 1; level < 10; level += 1) {
      const tenfold = Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ");
      bomb.push(`a${level}: &a${level} [${tenfold}]`);
    }
    const startMs = performance.now();
    expect(await errorsOf(bomb.join("\n"))).toEqual(["scissiond.yaml:1:1: more than 1000 aliases"]);
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  it("an alias of itself, and nesting without end", async () => {
    expect(await errorsOf("a: &a [*a]\n")).toHaveLength(1);
    expect(await errorsOf("[".repeat(200_000))).not.toEqual([]);
  });

  it("files without an end, as configuration and as secret", async () => {
    const endless = await loadDaemonConfig("/dev/zero", {});
    expect(endless.ok ? "" : endless.errors[0]?.message).toMatch(/more than 1048576 bytes/);
    expect(await errorsOf("mqtt: {username: u, passwordFile: /dev/zero}\n")).toEqual([
      "scissiond.yaml:1:35 mqtt.passwordFile: cannot read the file: it has more than 1048576 bytes",
    ]);
  });

  it("a file that is too large, missing, a directory or not UTF-8", async () => {
    expect(await errorsOf("#".repeat(1_048_577))).toEqual([
      "scissiond.yaml:1:1: cannot read the file: it has more than 1048576 bytes",
    ]);
    expect((await errorsOf(Uint8Array.of(0x61, 0xff, 0xfe)))[0]).toMatch(/cannot read the file/);
    for (const path of [join(directory, "none.yaml"), directory]) {
      const loaded = await loadDaemonConfig(path, {});
      expect(loaded.ok ? "" : loaded.errors[0]?.message).toMatch(/^cannot read the file: E/);
    }
  });
});

describe("loadDaemonConfig accepts", () => {
  it("an empty file, and fills in every default", async () => {
    const { config, warnings } = await accepted("# nothing\n");
    expect(warnings).toEqual([]);
    expect(config.listen.port).toBe(8420);
    expect(config.mqtt.broker?.port).toBe(1883);
    expect(config.mqtt.client.url).toBe("mqtt://127.0.0.1:1883");
    expect(config.probeServer.port).toBe(8421);
    expect(config.schedule.timezone).toBe("UTC");
    expect(config.node.name).toMatch(/^[a-z0-9-]{1,63}$/);
  });

  it("a section whose lines are all comments", async () => {
    const { config } = await accepted("listen:\n  # port: 1\nmodels:\nschedule:\n  benchmark:\n");
    expect(config.listen.port).toBe(8420);
    expect(config.models).toEqual([]);
  });

  it("paths from the directory of the file", async () => {
    const { config } = await accepted(
      "stateDirectory: state\nmodels:\n  - {name: a, path: models/a.onnx}\n  - {name: b, path: /b.onnx}\n",
    );
    expect(config.stateDirectory).toBe(join(directory, "state"));
    expect(config.models.map(({ path }) => path)).toEqual([
      join(directory, "models/a.onnx"),
      "/b.onnx",
    ]);
  });

  it("variables in strings, read as what belongs there, never as YAML", async () => {
    const { config } = await accepted(
      [
        "site: ${SITE}",
        "stateDirectory: ${NONE:-/var/x}/${EMPTY:-y}/$${literal}",
        "listen: {port: '${PORT}', allowUnprotected: \"${YES}\"}",
        "mqtt: {username: '${INJECTION}'}",
        "# ${IGNORED}",
      ].join("\n"),
      { SITE: "north", EMPTY: "", PORT: "9000", YES: "true", INJECTION: "a\nsite: ${SITE}" },
    );
    expect(config.site).toBe("north");
    expect(config.stateDirectory).toBe("/var/x/y/${literal}");
    expect(config.listen).toMatchObject({ port: 9_000, allowUnprotected: true });
    expect(config.mqtt.client.username).toBe("a\nsite: ${SITE}");
  });

  it("a password that looks like a number, from the environment", async () => {
    const { config } = await accepted("mqtt: {username: me, password: '${P}'}", { P: "12345" });
    expect(config.mqtt.client.password).toBe("12345");
    expect(config.mqtt.broker).toMatchObject({ username: "me", password: "12345" });
  });

  it("a password from a file, and warns where everybody can read it", async () => {
    await mkdir(join(directory, "secrets"));
    const secret = join(directory, "secrets/mqtt");
    await writeFile(secret, "  pass word \n\n", { mode: 0o600 });
    const yaml = "mqtt:\n  url: mqtt://broker\n  username: me\n  passwordFile: secrets/mqtt\n";
    const closed = await accepted(yaml);
    expect(closed.config.mqtt.client.password).toBe("  pass word \n");
    expect(closed.config.mqtt.broker).toBeUndefined();
    expect(closed.warnings).toEqual([]);
    await chmod(secret, 0o644);
    const open = await accepted(yaml);
    expect(open.warnings).toMatchObject([{ line: 4, column: 17, path: "mqtt.passwordFile" }]);
  });

  it("a broker of its own that others reach without a login, with a warning", async () => {
    const open = await accepted("mqtt: {broker: {host: 0.0.0.0}}");
    expect(open.warnings.map(({ path }) => path)).toEqual(["mqtt.broker.host"]);
    const closed = await accepted("mqtt: {username: u, password: p, broker: {host: 0.0.0.0}}");
    expect(closed.warnings).toEqual([]);
  });

  it("a port beyond loopback when told so", async () => {
    const { config } = await accepted("listen: {host: 0.0.0.0, allowUnprotected: true}");
    expect(config.listen.host).toBe("0.0.0.0");
  });

  it("thresholds of one pipeline over the common ones", async () => {
    const { config } = await accepted(
      [
        "models: [{name: m, path: a.onnx}]",
        "thresholds: {holdSeconds: 9, minGainPercent: 8}",
        "pipelines:",
        "  - {name: a, model: m, devices: [d], thresholds: {holdSeconds: 2}}",
        "  - {name: b, model: m, devices: {names: 'cam-*'}}",
      ].join("\n"),
    );
    expect(config.pipelines.map(({ thresholds }) => thresholds)).toMatchObject([
      { holdSeconds: 2, minGainPercent: 8, staleSeconds: 60 },
      { holdSeconds: 9, minGainPercent: 8, staleSeconds: 60 },
    ]);
  });

  it("a zone with daylight saving time and a model that is not there yet, with warnings", async () => {
    const { warnings } = await accepted(
      "schedule: {timezone: Europe/Berlin}\nmodels: [{name: m, path: none.onnx}]\n",
    );
    expect(warnings.map(({ path }) => path)).toEqual(["schedule.timezone", "models[0].path"]);
  });
});

describe("loadAgentConfig", () => {
  it("asks for what has no sensible default, all at once", async () => {
    const path = join(directory, "agent.yaml");
    await writeFile(path, "site: a\n");
    const loaded = await loadAgentConfig(path, {});
    expect(loaded.ok ? [] : loaded.errors.map(({ path: key }) => key).sort()).toEqual([
      "daemonUrl",
      "mqtt",
      "node",
    ]);
  });

  it("keeps downloaded models under the state directory", async () => {
    const path = join(directory, "agent.yaml");
    await writeFile(
      path,
      "node: {tier: cloud}\ndaemonUrl: http://edge-1:8420\nmqtt: {url: 'mqtt://edge-1'}\nstateDirectory: s\n",
    );
    const loaded = await loadAgentConfig(path, {});
    expect(loaded).toMatchObject({
      ok: true,
      config: { stateDirectory: join(directory, "s"), node: { tier: "cloud" } },
    });
  });
});
