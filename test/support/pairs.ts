const FIRST_SLOTS = 1 << 10;
/** Integers in a slot: both members, and the number of the pair plus one, where 0 is a free slot. */
const WIDTH = 4;

/** Numbers pairs of integers in the order in which they come: a hash table for tens of millions. */
export class Pairs {
  #slots = new Int32Array(WIDTH * FIRST_SLOTS);
  #members = new Int32Array(FIRST_SLOTS);
  #size = 0;

  of(first: number, second: number): number {
    let slot = this.#slotOf(first, second);
    const known = this.#slots[slot + 2]!;
    if (known !== 0) return known - 1;
    if (2 * (this.#size + 1) > this.#members.length) {
      this.#grow();
      slot = this.#slotOf(first, second);
    }
    this.#members[2 * this.#size] = first;
    this.#members[2 * this.#size + 1] = second;
    this.#size += 1;
    this.#fill(slot, this.#size);
    return this.#size - 1;
  }

  first(pair: number): number {
    return this.#members[2 * pair]!;
  }

  second(pair: number): number {
    return this.#members[2 * pair + 1]!;
  }

  /** Where the pair is, or else would be. */
  #slotOf(first: number, second: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = ((hash ^ (hash >>> 13)) * WIDTH) & mask;
    while (slots[slot + 2] !== 0 && (slots[slot] !== first || slots[slot + 1] !== second)) {
      slot = (slot + WIDTH) & mask;
    }
    return slot;
  }

  #fill(slot: number, numberPlusOne: number): void {
    this.#slots[slot] = this.first(numberPlusOne - 1);
    this.#slots[slot + 1] = this.second(numberPlusOne - 1);
    this.#slots[slot + 2] = numberPlusOne;
  }

  #grow(): void {
    const members = new Int32Array(2 * this.#members.length);
    members.set(this.#members);
    this.#members = members;
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let pair = 0; pair < this.#size; pair += 1) {
      this.#fill(this.#slotOf(this.first(pair), this.second(pair)), pair + 1);
    }
  }
}
