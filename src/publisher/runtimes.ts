import type { Connection } from "./connection.js";
import type { Session } from "./session.js";

/** The connections of runtimes; at most one speaks for a node about a pipeline. */
export class Runtimes {
  readonly #members = new Set<Connection>();

  get members(): ReadonlySet<Connection> {
    return this.#members;
  }

  sessions(): Session[] {
    return [...this.#members].flatMap((connection) => connection.session ?? []);
  }

  /** The older connections that say nothing that this one does not say. */
  replacedBy(connection: Connection): Connection[] {
    const { session } = connection;
    if (session === undefined) return [];
    return [...this.#members].filter(
      (older) => older.session !== undefined && doTheSame(older.session, session),
    );
  }

  add(connection: Connection): void {
    this.#members.add(connection);
  }

  /** False where it was none. */
  remove(connection: Connection): boolean {
    return this.#members.delete(connection);
  }
}

function doTheSame(one: Session, other: Session): boolean {
  if (one.node === undefined || one.node !== other.node) return false;
  if (one.pipelines === undefined || other.pipelines === undefined) return true;
  return [...one.pipelines].some((pipeline) => other.pipelines?.has(pipeline));
}
