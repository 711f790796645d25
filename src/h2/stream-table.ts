/** An entry of a table. */
export interface Numbered {
  /** Above 0, and the same as long as it is in the table. */
  readonly id: number;
}

const firstSize = 64;
/** 2^32 divided by the golden ratio: spreads ids that follow one another. */
const spread = 0x9e3779b1;

/**
 * The open streams of a connection, by id: a hash table with linear probing.
 *
 * A Map would do, but each table that a Map outgrows points to the next. One that has become old, and is not collected
 * with the young, would hold all that come after it, and so every call that was under way when they were replaced.
 */
export class StreamTable<S extends Numbered> {
  #slots: (S | undefined)[] = empty(firstSize);
  #mask = firstSize - 1;
  #shift = 32 - Math.log2(firstSize);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): S | undefined {
    const slots = this.#slots;
    const mask = this.#mask;
    let at = Math.imul(id, spread) >>> this.#shift;
    let stream = slots[at];
    while (stream !== undefined && stream.id !== id) {
      at = (at + 1) & mask;
      stream = slots[at];
    }
    return stream;
  }

  /** The id must be new. */
  add(stream: S): void {
    if (2 * ++this.#size > this.#slots.length) this.#grow();
    this.#put(stream);
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = Math.imul(id, spread) >>> this.#shift;
    while (slots[hole]?.id !== id) {
      if (slots[hole] === undefined) return;
      hole = (hole + 1) & mask;
    }
    // Those behind that were looked for from the hole or before it move up.
    let at = hole;
    for (;;) {
      at = (at + 1) & mask;
      const stream = slots[at];
      if (stream === undefined) break;
      const home = Math.imul(stream.id, spread) >>> this.#shift;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      hole = at;
    }
    slots[hole] = undefined;
    this.#size--;
  }

  clear(): void {
    this.#slots.fill(undefined);
    this.#size = 0;
  }

  /** Those that are there now, in no order. */
  all(): S[] {
    return this.#slots.filter(stream => stream !== undefined);
  }

  #put(stream: S): void {
    const slots = this.#slots;
    let at = Math.imul(stream.id, spread) >>> this.#shift;
    while (slots[at] !== undefined) at = (at + 1) & this.#mask;
    slots[at] = stream;
  }

  #grow(): void {
    const streams = this.all();
    const size = 2 * this.#slots.length;
    this.#slots = empty(size);
    this.#mask = size - 1;
    this.#shift--;
    for (const stream of streams) this.#put(stream);
  }
}

function empty<S>(size: number): (S | undefined)[] {
  return new Array<S | undefined>(size).fill(undefined);
}
