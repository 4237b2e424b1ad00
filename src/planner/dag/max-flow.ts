/**
 * Maximum flow by Dinic's algorithm on typed arrays, without recursion: paths are as long as the graph
 * is deep. Capacities are whole numbers (of ticks), so sums are exact.
 */
export class FlowNetwork {
  readonly #head: Int32Array;
  #next = new Int32Array(1_024);
  #to = new Int32Array(1_024);
  #capacity = new Float64Array(1_024);
  #arcCount = 0;
  readonly #level: Int32Array;
  readonly #current: Int32Array;

  constructor(vertexCount: number) {
    this.#head = new Int32Array(vertexCount).fill(-1);
    this.#level = new Int32Array(vertexCount);
    this.#current = new Int32Array(vertexCount);
  }

  /** Adds an arc and, with the capacity `back`, its opposite; returns its number. */
  connect(from: number, to: number, capacity: { forth: number; back?: number }): number {
    const arc = this.#arcCount;
    this.#grow();
    this.#append(from, to, capacity.forth);
    this.#append(to, from, capacity.back ?? 0);
    return arc;
  }

  setCapacity(arc: number, capacity: number): void {
    this.#capacity[arc] = capacity;
  }

  /** The residual capacities of this moment, to come back to with `restore`. */
  residue(): Float64Array {
    return this.#capacity.slice(0, this.#arcCount);
  }

  restore(residue: Float64Array): void {
    this.#capacity.set(residue);
  }

  /** Adds what still flows from `source` to `sink`; stops early once that is `enough` or more. */
  maximize(source: number, sink: number, enough = Infinity): number {
    let flow = 0;
    while (flow < enough && this.#layer(source, sink)) {
      this.#current.set(this.#head);
      flow += this.#block(source, sink, enough - flow);
    }
    return flow;
  }

  /** After `maximize`: 1 for every vertex on the source's side of a minimum cut, the smallest such. */
  sourceSide(source: number): Uint8Array {
    const side = new Uint8Array(this.#head.length);
    const pending = [source];
    side[source] = 1;
    for (let vertex = pending.pop(); vertex !== undefined; vertex = pending.pop()) {
      for (let arc = this.#head[vertex] ?? -1; arc !== -1; arc = this.#next[arc] ?? -1) {
        const to = this.#to[arc] ?? 0;
        if ((this.#capacity[arc] ?? 0) > 0 && side[to] === 0) {
          side[to] = 1;
          pending.push(to);
        }
      }
    }
    return side;
  }

  /** Breadth first: how far every vertex is from the source. False where the sink is out of reach. */
  #layer(source: number, sink: number): boolean {
    const level = this.#level.fill(-1);
    const queue = new Int32Array(level.length);
    let end = 1;
    queue[0] = source;
    level[source] = 0;
    for (let at = 0; at < end && level[sink] === -1; at += 1) {
      const vertex = queue[at] ?? 0;
      for (let arc = this.#head[vertex] ?? -1; arc !== -1; arc = this.#next[arc] ?? -1) {
        const to = this.#to[arc] ?? 0;
        if ((this.#capacity[arc] ?? 0) > 0 && level[to] === -1) {
          level[to] = (level[vertex] ?? 0) + 1;
          queue[end] = to;
          end += 1;
        }
      }
    }
    return level[sink] !== -1;
  }

  /** Sends what fits along shortest paths, until none is left or `enough` flows. */
  #block(source: number, sink: number, enough: number): number {
    const path: number[] = [];
    let flow = 0;
    let vertex = source;
    while (flow < enough) {
      if (vertex === sink) {
        flow += this.#push(path);
        vertex = this.#retreat(path, sink);
        continue;
      }
      const arc = this.#openArc(vertex);
      if (arc !== -1) {
        path.push(arc);
        vertex = this.#to[arc] ?? 0;
        continue;
      }
      const last = path.pop();
      if (last === undefined) break;
      // A dead end: the arc that led here is spent for this round.
      vertex = this.#to[last ^ 1] ?? 0;
      this.#current[vertex] = this.#next[last] ?? -1;
    }
    return flow;
  }

  #push(path: readonly number[]): number {
    let amount = Infinity;
    for (const arc of path) amount = Math.min(amount, this.#capacity[arc] ?? 0);
    for (const arc of path) {
      this.#capacity[arc] = (this.#capacity[arc] ?? 0) - amount;
      this.#capacity[arc ^ 1] = (this.#capacity[arc ^ 1] ?? 0) + amount;
    }
    return amount;
  }

  /** Shortens the path to its part in front of the first full arc; where that leads. */
  #retreat(path: number[], end: number): number {
    const full = path.findIndex((arc) => this.#capacity[arc] === 0);
    if (full === -1) return end;
    const vertex = this.#to[(path[full] ?? 0) ^ 1] ?? 0;
    path.length = full;
    return vertex;
  }

  /** The next arc of `vertex` that leads one layer further; -1 where none is left. */
  #openArc(vertex: number): number {
    let arc = this.#current[vertex] ?? -1;
    const wanted = (this.#level[vertex] ?? 0) + 1;
    while (arc !== -1) {
      if ((this.#capacity[arc] ?? 0) > 0 && this.#level[this.#to[arc] ?? 0] === wanted) break;
      arc = this.#next[arc] ?? -1;
    }
    this.#current[vertex] = arc;
    return arc;
  }

  #append(from: number, to: number, capacity: number): void {
    const arc = this.#arcCount;
    this.#to[arc] = to;
    this.#capacity[arc] = capacity;
    this.#next[arc] = this.#head[from] ?? -1;
    this.#head[from] = arc;
    this.#arcCount += 1;
  }

  #grow(): void {
    if (this.#arcCount + 2 <= this.#to.length) return;
    const size = 2 * this.#to.length;
    const copy = <T extends Int32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#next = copy(this.#next, new Int32Array(size));
    this.#to = copy(this.#to, new Int32Array(size));
    this.#capacity = copy(this.#capacity, new Float64Array(size));
  }
}
