import type { Connection } from "./connection.js";
import type { Session } from "./session.js";

/** The connections of runtimes; at most one speaks for a node about a pipeline. */
export class Runtimes {
  readonly #members = new Set<Connection>();
  readonly #byNode = new Map<string, Set<Connection>>();

  get members(): ReadonlySet<Connection> {
    return this.#members;
  }

  sessions(): Session[] {
    return [...this.#members].flatMap((connection) => connection.session ?? []);
  }

  /** Those of these nodes. */
  of(nodes: Iterable<string>): Connection[] {
    return [...nodes].flatMap((node) => [...(this.#byNode.get(node) ?? [])]);
  }

  /** The older connections that say nothing that this one does not say. */
  replacedBy({ session }: Connection): Connection[] {
    if (session?.node === undefined) return [];
    return this.of([session.node]).filter(
      (older) => older.session !== undefined && isAboutTheSame(older.session, session),
    );
  }

  /** A runtime that has just subscribed. */
  add(connection: Connection): void {
    this.#members.add(connection);
    const node = connection.session?.node;
    if (node === undefined) return;
    this.#byNode.set(node, (this.#byNode.get(node) ?? new Set()).add(connection));
  }

  /** False where it was none. */
  remove(connection: Connection): boolean {
    const node = connection.session?.node ?? "";
    const neighbours = this.#byNode.get(node);
    neighbours?.delete(connection);
    if (neighbours?.size === 0) this.#byNode.delete(node);
    return this.#members.delete(connection);
  }
}

function isAboutTheSame(one: Session, other: Session): boolean {
  if (one.pipelines === undefined || other.pipelines === undefined) return true;
  return [...one.pipelines].some((pipeline) => other.pipelines?.has(pipeline));
}
