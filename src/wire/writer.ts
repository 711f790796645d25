import { LENGTH, tagOf, VARINT } from "./wire-type.js";

/** Collects the bytes of one message. */
export class WireWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  tag(number: number, wireType: number): void {
    this.varint(BigInt(tagOf(number, wireType)));
  }

  /** The low 64 bits of `value`, negative ones in ten bytes. */
  varint(value: bigint): void {
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  /** The low `size` bytes of `value`, least significant first. */
  fixed(value: bigint, size: 4 | 8): void {
    this.#reserve(size);
    let rest = BigInt.asUintN(64, value);
    for (let index = 0; index < size; index++) {
      this.#bytes[this.#length++] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }

  delimited(value: Uint8Array): void {
    this.varint(BigInt(value.length));
    this.raw(value);
  }

  /** A length-delimited field: its tag, its length and its bytes. */
  field(number: number, value: Uint8Array): void {
    this.tag(number, LENGTH);
    this.delimited(value);
  }

  /** A string field. Lone surrogates become U+FFFD. */
  string(number: number, value: string): void {
    this.field(number, Buffer.from(value));
  }

  /** A varint field: an integer without zigzag, or an enum. */
  integer(number: number, value: number): void {
    this.tag(number, VARINT);
    this.varint(BigInt(value));
  }

  /** A field that is a message, of what `write` writes. */
  message(number: number, write: (inner: WireWriter) => void): void {
    const inner = new WireWriter();
    write(inner);
    this.field(number, inner.finish());
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
