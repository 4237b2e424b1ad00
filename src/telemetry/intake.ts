import type { z } from "zod";
import type { Clock } from "../core/index.js";
import {
  type LinkReport,
  linkReportSchema,
  type NodeState,
  nodeStateSchema,
  type Profile,
  parseJson,
  profileSchema,
} from "../protocol/index.js";
import { ClockOffsets } from "./clock-offset.js";
import { KnownReports } from "./known-reports.js";
import type { MqttOptions } from "./options.js";
import { observePresence, type Presence } from "./presence.js";
import { type Bucket, LatestPerKey, type Rate, takeTokens } from "./rate.js";
import type { RejectionCause, Rejections } from "./rejections.js";
import { formatTopic, type Topic } from "./topics.js";

/** A link report has a handful of numbers; what is longer is not one. */
const LINK_BYTES_MAX = 4_096;
/** Links with an end that nobody has heard of; they must not take the room of the others. */
const STRANGE_LINKS_MAX = 256;
/** Profiles are rare and costly to read. */
const PROFILE_RATE: Rate = { perSecond: 1, burst: 5 };

/** A link report that passed every check. */
export interface LinkEvent {
  from: string;
  to: string;
  report: LinkReport;
  /** Unix milliseconds of the arrival. */
  receivedAtMs: number;
  /** Monotonic milliseconds of the measurement, as far as `at` and the source's clock tell: for ages and windows. */
  measuredMonotonicMs: number;
}

export interface IntakeHandlers {
  onNodeState?(state: NodeState): void;
  /** The node's retained state was cleared. */
  onNodeGone?(node: string): void;
  onLink?(event: LinkEvent): void;
  onProfile?(profile: Profile): void;
  /** Where given, messages about other nodes are dropped and counted. */
  knowsNode?(node: string): boolean;
  /** Where given, links between nodes that it has not heard of get little room. */
  hasHeardOf?(node: string): boolean;
}

interface IntakeDeps {
  clock: Clock;
  rejections: Rejections;
  handlers: IntakeHandlers;
  /** A node has started anew: what the earlier boot was doing is gone. */
  onRestart(node: string): void;
}

export interface Message {
  topic: string;
  payload: Uint8Array;
  retained: boolean;
}

/** Bytes of a message as text. */
export function payloadText(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8");
}

/** Turns untrusted states, link reports and profiles into checked events, at a bounded rate. */
export class Intake {
  readonly #site: string;
  readonly #limits: MqttOptions["limits"];
  readonly #deps: IntakeDeps;
  readonly #links: LatestPerKey<LinkEvent>;
  readonly #strangeLinks: LatestPerKey<LinkEvent>;
  readonly #reports: KnownReports;
  readonly #clocks: ClockOffsets;
  readonly #presence = new Map<string, Presence>();
  readonly #profileBuckets = new Map<string, Bucket>();

  constructor(site: string, limits: MqttOptions["limits"], deps: IntakeDeps) {
    this.#site = site;
    this.#limits = limits;
    this.#deps = deps;
    const rate = { perSecond: limits.linkReportsPerSecond, burst: limits.linkReportsBurst };
    const deliver = (event: LinkEvent): void => deps.handlers.onLink?.(event);
    this.#links = new LatestPerKey({ rate, keysMax: limits.linksMax }, deps.clock, deliver);
    const keysMax = Math.min(STRANGE_LINKS_MAX, limits.linksMax);
    this.#strangeLinks = new LatestPerKey({ rate, keysMax }, deps.clock, deliver);
    this.#reports = new KnownReports(limits.linksMax);
    this.#clocks = new ClockOffsets(limits, limits.linksMax);
  }

  stop(): void {
    this.#links.stop();
    this.#strangeLinks.stop();
  }

  state(topic: Topic & { kind: "state" }, message: Message): void {
    if (!this.#knows(message, topic.node)) return;
    if (message.payload.byteLength === 0) {
      this.#presence.delete(topic.node);
      this.#deps.handlers.onNodeGone?.(topic.node);
      return;
    }
    const state = this.#parse(message, nodeStateSchema, this.#limits.payloadBytesMax);
    if (state === undefined) return;
    if (state.node !== topic.node) {
      this.#reject("mismatch", message, `the state is of ${state.node}`);
      return;
    }
    const known = this.#presence.get(state.node);
    if (known === undefined && this.#presence.size >= this.#limits.linksMax) {
      this.#reject("too-many", message, "more nodes than limits.linksMax");
      return;
    }
    const { presence, verdict } = observePresence(known, state);
    this.#presence.set(state.node, presence);
    if (verdict === "old-will") {
      this.#reject("old-will", message, "the will of an earlier boot");
      return;
    }
    if (verdict === "restarted") this.#deps.onRestart(state.node);
    this.#deps.handlers.onNodeState?.(state);
  }

  link(topic: Topic & { kind: "link" }, message: Message): void {
    const { clock } = this.#deps;
    if (message.retained) {
      this.#reject(
        "retained",
        message,
        "link reports are not retained: the value may be of any age",
      );
      return;
    }
    if (!this.#knows(message, topic.from) || !this.#knows(message, topic.to)) return;
    const report = this.#parse(message, linkReportSchema, LINK_BYTES_MAX);
    if (report === undefined) return;
    const receivedAtMs = clock.nowMs();
    const offsetMs = receivedAtMs - (report.at ?? receivedAtMs);
    const nowMs = clock.monotonicMs();
    const { from, to } = topic;
    const age =
      report.at === undefined
        ? { kind: "taken" as const, ageMs: 0 }
        : this.#clocks.observe({ from, to, source: report.source }, { offsetMs, nowMs });
    if (age.kind !== "taken") {
      const when = offsetMs > 0 ? `${offsetMs} ms ago` : `${-offsetMs} ms from now`;
      this.#reject(age.kind, message, `measured ${when}, or by a clock that is off`);
      return;
    }
    const measuredMonotonicMs = nowMs - age.ageMs;
    this.#offer(message, { from, to, report, receivedAtMs, measuredMonotonicMs });
  }

  /** At a bounded rate for each source of each link, so that a flood of one does not drown another. */
  #offer(message: Message, event: LinkEvent): void {
    const { from, to, report } = event;
    const seen = this.#reports.observe(event, report, this.#deps.clock.monotonicMs());
    if (seen === "duplicate") this.#reject("duplicate", message, "the same report came before");
    if (seen === "too-many") this.#reject("too-many", message, "too many sources for one link");
    if (seen !== "new") return;
    const { handlers } = this.#deps;
    const isStrange = [from, to].some((node) => handlers.hasHeardOf?.(node) === false);
    const links = isStrange ? this.#strangeLinks : this.#links;
    const verdict = links.offer(`${from}/${to}/${report.source ?? ""}`, event);
    if (verdict === "replaced") this.#reject("rate", message, "a newer report took its place");
    if (verdict === "full") this.#reject("too-many", message, "more links than are followed");
  }

  profile(topic: Topic & { kind: "profile" }, message: Message): void {
    if (!this.#knows(message, topic.node) || message.payload.byteLength === 0) return;
    if (!this.#takeProfileToken(topic, message)) return;
    const profile = this.#parse(message, profileSchema, this.#limits.profileBytesMax);
    if (profile === undefined) return;
    if (profile.node.name !== topic.node || profile.model.sha256 !== topic.modelSha256) {
      this.#reject("mismatch", message, "the profile is of another node or model");
      return;
    }
    this.#deps.handlers.onProfile?.(profile);
  }

  #takeProfileToken(topic: Topic, message: Message): boolean {
    const key = formatTopic(this.#site, topic);
    const known = this.#profileBuckets.get(key);
    if (known === undefined && this.#profileBuckets.size >= this.#limits.linksMax) {
      this.#reject("too-many", message, "more profiles than limits.linksMax");
      return false;
    }
    const { bucket, taken } = takeTokens(known, PROFILE_RATE, {
      nowMs: this.#deps.clock.monotonicMs(),
      count: 1,
    });
    this.#profileBuckets.set(key, bucket);
    if (!taken) this.#reject("rate", message, "profiles arrive too fast");
    return taken;
  }

  #knows(message: Message, node: string): boolean {
    if (this.#deps.handlers.knowsNode?.(node) !== false) return true;
    this.#reject("unknown-node", message, `no node is called ${node}`);
    return false;
  }

  #parse<T>(message: Message, schema: z.ZodType<T>, bytesMax: number): T | undefined {
    if (message.payload.byteLength > bytesMax) {
      this.#reject("too-large", message, `${message.payload.byteLength} bytes`);
      return undefined;
    }
    const parsed = parseJson(payloadText(message.payload), schema);
    if (parsed.ok) return parsed.value;
    this.#reject("malformed", message, parsed.message);
    return undefined;
  }

  #reject(cause: RejectionCause, message: Message, detail: string): void {
    this.#deps.rejections.add(cause, message.topic, detail);
  }
}
