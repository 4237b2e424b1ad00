/** A stack of numbers that are not negative, for tens of millions of them. */
export class NumberStack {
  #items = new Int32Array(1 << 10);
  #size = 0;

  push(item: number): void {
    if (this.#size === this.#items.length) {
      const items = new Int32Array(2 * this.#items.length);
      items.set(this.#items);
      this.#items = items;
    }
    this.#items[this.#size] = item;
    this.#size += 1;
  }

  /** The newest; -1 where none is left. */
  pop(): number {
    if (this.#size === 0) return -1;
    this.#size -= 1;
    return this.#items[this.#size]!;
  }
}
