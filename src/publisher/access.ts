import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { ClientOptions } from "./options.js";

export type Role = "observer" | "runtime" | "admin";

/** Who speaks on a connection. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
  /** The nodes for which it may speak as a runtime; undefined: for all. */
  readonly nodes: ReadonlySet<string> | undefined;
  /** What it proved itself with: a hash or a certificate's name, never a secret. */
  readonly credential: string;
}

/** Browsers cannot set headers on a WebSocket; they offer this with their token as a subprotocol. */
export const BEARER_SUBPROTOCOL_PREFIX = "scission.bearer.";
const BEARER = /^Bearer +([\x21-\x7e]{1,1024}) *$/i;

/** Where nobody is named, everybody may do everything; the port is then on loopback or told so. */
const ANYBODY: Principal = { name: "anybody", role: "admin", nodes: undefined, credential: "" };

/** Knows who may connect, by bearer token or client certificate. Tokens are kept as hashes only. */
export class Access {
  #byCredential = new Map<string, Principal>();
  #isOpen = true;

  constructor(clients: readonly ClientOptions[]) {
    this.replace(clients);
  }

  /** Others may connect from now on. */
  replace(clients: readonly ClientOptions[]): void {
    this.#isOpen = clients.length === 0;
    this.#byCredential = new Map(
      clients.map((client) => {
        const { name, role } = client;
        const credential = credentialOf(client);
        const nodes = role === "admin" ? undefined : new Set(client.nodes);
        return [credential, { name, role, nodes, credential }];
      }),
    );
  }

  /** Who sends this request; undefined for a stranger. */
  identify(request: IncomingMessage): Principal | undefined {
    if (this.#isOpen) return ANYBODY;
    const token = bearerToken(request);
    if (token !== undefined) return this.#byCredential.get(`sha256:${hash(token)}`);
    const name = certificateName(request);
    return name === undefined ? undefined : this.#byCredential.get(`certificate:${name}`);
  }

  /** Whether a principal that was let in earlier may still do the same. */
  isCurrent(principal: Principal): boolean {
    if (this.#isOpen) return true;
    const now = this.#byCredential.get(principal.credential);
    const nodes = (of: Principal): string => [...(of.nodes ?? [])].sort().join(" ");
    return now !== undefined && now.role === principal.role && nodes(now) === nodes(principal);
  }
}

/** Whether it may take part in rollouts for this node. */
export function mayServe({ role, nodes }: Principal, node: string | undefined): boolean {
  if (role === "observer") return false;
  return nodes === undefined || (node !== undefined && nodes.has(node));
}

function credentialOf({ tokenSha256, certificateName: name }: ClientOptions): string {
  return tokenSha256 === undefined ? `certificate:${name ?? ""}` : `sha256:${tokenSha256}`;
}

// Tokens are long and random, so a plain hash cannot be searched; comparing hashes leaks nothing.
function hash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function bearerToken({ headers }: IncomingMessage): string | undefined {
  const fromHeader = BEARER.exec(headers.authorization ?? "")?.[1];
  if (fromHeader !== undefined) return fromHeader;
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
  const encoded = offered.find((each) => each.startsWith(BEARER_SUBPROTOCOL_PREFIX));
  if (encoded === undefined) return undefined;
  return Buffer.from(encoded.slice(BEARER_SUBPROTOCOL_PREFIX.length), "base64url").toString("utf8");
}

/** The common name of a client certificate that an authority we trust has signed. */
function certificateName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const name: unknown = socket.getPeerCertificate().subject.CN;
  return typeof name === "string" ? name : undefined;
}
