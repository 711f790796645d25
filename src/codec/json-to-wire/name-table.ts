/** Finds names among UTF-8 bytes without making strings of them. */
export class NameTable {
  /** The expected name of each entry in JSON, without the quote before but with the one after it. */
  readonly quoted: readonly (Uint8Array | undefined)[];
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #names: Uint8Array[] = [];
  readonly #entries: number[] = [];

  /**
   * Names that JSON writes with escapes are not in the table.
   * @param expected the usual name of each entry
   * @param names all names and the entries that they mean
   */
  constructor(expected: readonly string[], names: ReadonlyMap<string, number>) {
    this.quoted = expected.map((name, entry) =>
      isPlain(name) && names.get(name) === entry ? Buffer.from(`${name}"`) : undefined,
    );
    let size = 4;
    while (size < names.size * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Int32Array(size).fill(-1);
    for (const [name, entry] of names) if (isPlain(name)) this.#add(Buffer.from(name), entry);
  }

  /** The hash of a name, made byte by byte, beginning with 0. */
  mix(hash: number, byte: number): number {
    return (Math.imul(hash, 31) + byte) | 0;
  }

  /** The entry of the name from `start` to `end`; -1 where there is none. */
  find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    for (let slot = this.#slot(hash); ; slot = (slot + 1) & this.#mask) {
      const found = slots[slot]!;
      if (found < 0) return -1;
      const name = this.#names[found]!;
      if (name.length === end - start && startsWith(bytes, start, name)) return this.#entries[found]!;
    }
  }

  #slot(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  #add(name: Uint8Array, entry: number): void {
    const hash = name.reduce((before, byte) => this.mix(before, byte), 0);
    let slot = this.#slot(hash);
    while (this.#slots[slot] !== -1) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = this.#names.length;
    this.#names.push(name);
    this.#entries.push(entry);
  }
}

function isPlain(name: string): boolean {
  return JSON.stringify(name) === `"${name}"`;
}

function startsWith(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) {
    if (bytes[start + index] !== name[index]) return false;
  }
  return true;
}
