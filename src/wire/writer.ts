import { LENGTH, tagOf, VARINT } from "./wire-type.js";

/** Collects the bytes of one message. */
export class WireWriter {
  #bytes = new Uint8Array(64);
  #length = 0;

  tag(number: number, wireType: number): void {
    this.#uint32(tagOf(number, wireType));
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
    this.#uint32(value.length);
    this.raw(value);
  }

  /** A length-delimited field: its tag, its length and its bytes. */
  field(number: number, value: Uint8Array): void {
    this.tag(number, LENGTH);
    this.delimited(value);
  }

  /** A string field. Lone surrogates become U+FFFD. */
  string(number: number, value: string): void {
    const size = Buffer.byteLength(value);
    this.tag(number, LENGTH);
    this.#uint32(size);
    if (size !== value.length) {
      this.raw(Buffer.from(value));
      return;
    }
    // All of it is ASCII.
    this.#reserve(size);
    for (let index = 0; index < size; index++) this.#bytes[this.#length++] = value.charCodeAt(index);
  }

  /** A varint field: an integer without zigzag, or an enum. */
  integer(number: number, value: number): void {
    this.tag(number, VARINT);
    if (value >= 0 && value <= 0xffff_ffff) this.#uint32(value);
    else this.varint(BigInt(value));
  }

  /** A message field with the content that `write` writes. */
  message(number: number, write: (inner: WireWriter) => void): void {
    this.tag(number, LENGTH);
    this.#reserve(1);
    // The length takes one byte, in most cases; else the content is moved.
    const start = this.#length + 1;
    this.#length = start;
    write(this);
    const size = this.#length - start;
    let lengthBytes = 1;
    for (let rest = size >>> 7; rest > 0; rest >>>= 7) lengthBytes++;
    this.#reserve(lengthBytes);
    this.#bytes.copyWithin(start + lengthBytes - 1, start, start + size);
    this.#length = start - 1;
    this.#uint32(size);
    this.#length += size;
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** A copy of the message, in memory shared with other small buffers. The writer is empty then and can be used again. */
  take(): Uint8Array {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  /** A varint of at most 32 bits, without a bigint. */
  #uint32(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
