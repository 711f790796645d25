import { FIXED32, FIXED64, LENGTH, VARINT } from "../../wire/wire-type.js";

/** Receives the fields of a header. Fields of fixed size are passed over: no header has any that is known. */
export interface Fields {
  /** The low 32 bits of the value. */
  varint(field: number, value: number): void;
  delimited(field: number, from: number, to: number): void;
}

/**
 * Reads the headers of frames directly in a buffer, without making an object for any of them: there are two
 * for each call. Rare or large fields are read by `WireReader`.
 */
export class HeaderFields {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #failed = false;

  /** Gives the fields of the message in bytes `from` to `to` to `fields`. False where they are no message; some may have been given then. */
  read(bytes: Buffer, from: number, to: number, fields: Fields): boolean {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
    this.#failed = false;
    while (this.#at < this.#end && !this.#failed) this.#field(fields);
    return !this.#failed;
  }

  #field(fields: Fields): void {
    const tag = this.#varint();
    const number = tag >>> 3;
    if (number === 0) this.#failed = true;
    if (this.#failed) return;
    switch (tag & 7) {
      case VARINT: {
        const value = this.#varint();
        if (!this.#failed) fields.varint(number, value);
        break;
      }
      case LENGTH: {
        const size = this.#varint() >>> 0;
        const from = this.#at;
        this.#advance(size);
        if (!this.#failed) fields.delimited(number, from, from + size);
        break;
      }
      case FIXED64:
        this.#advance(8);
        break;
      case FIXED32:
        this.#advance(4);
        break;
      default:
        // No version of the protocol has groups.
        this.#failed = true;
    }
  }

  /** The low 32 bits of a varint, signed. */
  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 70 && this.#at < this.#end; shift += 7) {
      const byte = this.#bytes[this.#at++]!;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.#failed = true;
    return 0;
  }

  #advance(size: number): void {
    if (size > this.#end - this.#at) this.#failed = true;
    else this.#at += size;
  }
}
