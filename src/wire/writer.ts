/** Collects the bytes of one message. Meant for small messages, such as options. */
export class WireWriter {
  readonly #bytes: number[] = [];

  tag(number: number, wireType: number): void {
    this.varint(BigInt(number * 8 + wireType));
  }

  /** The low 64 bits of `value`, negative ones in ten bytes. */
  varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.#bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#bytes.push(Number(rest));
  }

  /** The low `size` bytes of `value`, least significant first. */
  fixed(value: bigint, size: 4 | 8): void {
    let rest = BigInt.asUintN(64, value);
    for (let index = 0; index < size; index++) {
      this.#bytes.push(Number(rest & 0xffn));
      rest >>= 8n;
    }
  }

  delimited(value: Uint8Array): void {
    this.varint(BigInt(value.length));
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    for (const byte of value) this.#bytes.push(byte);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
