import { nameSchema, sha256Schema } from "../protocol/index.js";
import { forgetFirst } from "./forget-first.js";

/** A topic of DESIGN's tree as data. The names in it fit `nameSchema`, hashes fit `sha256Schema`. */
export type Topic =
  | { kind: "state"; node: string }
  | { kind: "link"; from: string; to: string }
  | { kind: "profile"; node: string; modelSha256: string }
  | { kind: "progress"; node: string }
  | { kind: "command"; node: string; name: string }
  | { kind: "response"; node: string; name: string }
  | { kind: "partitions"; pipeline: string };

export function topicRoot(site: string): string {
  return `scission/v1/${site}`;
}

/** The topic's text, below the site's root. */
export function formatTopic(site: string, topic: Topic): string {
  return `${topicRoot(site)}/${formatTail(topic)}`;
}

function formatTail(topic: Topic): string {
  switch (topic.kind) {
    case "state":
      return `nodes/${topic.node}/state`;
    case "link":
      return `links/${topic.from}/${topic.to}`;
    case "profile":
      return `nodes/${topic.node}/profiles/${topic.modelSha256}`;
    case "progress":
      return `nodes/${topic.node}/progress`;
    case "command":
      return `nodes/${topic.node}/commands/${topic.name}`;
    case "response":
      return `nodes/${topic.node}/responses/${topic.name}`;
    case "partitions":
      return `partitions/${topic.pipeline}`;
  }
}

/** The filters of links that begin or end at a node. */
export function linkFiltersOf(site: string, node: string): string[] {
  return [`${topicRoot(site)}/links/${node}/+`, `${topicRoot(site)}/links/+/${node}`];
}

/** The filter that matches every topic of a kind; commands only those of one node. */
export function topicFilter(
  site: string,
  kind: "state" | "link" | "profile" | "progress" | "response" | { commandsOf: string },
): string {
  const root = topicRoot(site);
  if (typeof kind === "object") return `${root}/nodes/${kind.commandsOf}/commands/+`;
  switch (kind) {
    case "state":
      return `${root}/nodes/+/state`;
    case "link":
      return `${root}/links/+/+`;
    case "profile":
      return `${root}/nodes/+/profiles/+`;
    case "progress":
      return `${root}/nodes/+/progress`;
    case "response":
      return `${root}/nodes/+/responses/+`;
  }
}

/** Topics whose meaning is remembered; the first of them gives way to a further one. */
const READ_MAX = 4_096;

/** `parseTopic` for one site, whose topics come again and again. */
export class TopicReader {
  readonly #site: string;
  readonly #read = new Map<string, Topic>();

  constructor(site: string) {
    this.#site = site;
  }

  read(text: string): Topic | undefined {
    const known = this.#read.get(text);
    if (known !== undefined) return known;
    const topic = parseTopic(this.#site, text);
    if (topic === undefined) return undefined;
    this.#read.set(text, topic);
    if (this.#read.size > READ_MAX) forgetFirst(this.#read);
    return topic;
  }
}

/** Text from a broker → topic; undefined for whatever is not in the tree or holds a bad name. */
export function parseTopic(site: string, text: string): Topic | undefined {
  const root = `${topicRoot(site)}/`;
  if (!text.startsWith(root)) return undefined;
  const parts = text.slice(root.length).split("/");
  const [group, first = "", second = "", third = ""] = parts;
  if (!isName(first)) return undefined;
  if (group === "partitions" && parts.length === 2) return { kind: "partitions", pipeline: first };
  if (group === "links" && parts.length === 3) {
    return isName(second) && second !== first
      ? { kind: "link", from: first, to: second }
      : undefined;
  }
  if (group !== "nodes") return undefined;
  if (parts.length === 3) {
    return second === "state" || second === "progress" ? { kind: second, node: first } : undefined;
  }
  return parts.length === 4 ? parseNodeTopic(first, second, third) : undefined;
}

function parseNodeTopic(node: string, group: string, last: string): Topic | undefined {
  if (group === "profiles") {
    return sha256Schema.safeParse(last).success
      ? { kind: "profile", node, modelSha256: last }
      : undefined;
  }
  if (!isName(last)) return undefined;
  if (group === "commands") return { kind: "command", node, name: last };
  return group === "responses" ? { kind: "response", node, name: last } : undefined;
}

function isName(text: string): boolean {
  return nameSchema.safeParse(text).success;
}
