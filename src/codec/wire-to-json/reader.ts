import { asBuffer } from "../../net/buffer.js";
import { END_GROUP, FIXED32, FIXED64, LENGTH, START_GROUP, VARINT } from "../../wire/wire-type.js";
import { TranscodeError } from "../error.js";
import { maxJsonBytes, maxResponseWorkUnits, tooComplex } from "../work.js";

const maxVarintBytes = 10;

/**
 * Walks wire bytes. Reads are checked against the end of all bytes only; a caller that reads up to the end of an inner
 * value must find `pos` exactly there afterwards.
 */
export class Reader {
  readonly bytes: Buffer;
  #view: DataView | undefined;
  pos = 0;
  /** The two halves of the last `varint64` or `fixed64`, unsigned. */
  low = 0;
  high = 0;

  /** Units of work that are left (`work.ts`). */
  units: number;

  constructor(bytes: Uint8Array, units = maxResponseWorkUnits) {
    this.units = units;
    this.bytes = asBuffer(bytes);
  }

  /** Made when first needed: most messages have no fixed-width numbers, and views are expensive. */
  get view(): DataView {
    const { bytes } = this;
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#view;
  }

  /** A tag: field number and wire type. */
  tag(): number {
    const byte = this.bytes[this.pos];
    if (byte !== undefined && byte < 0x80) {
      this.pos++;
      return byte;
    }
    this.varint64();
    if (this.high !== 0) throw malformed("a tag is longer than 32 bits");
    return this.low;
  }

  /** Reads the next tag where it is this one; else leaves it. */
  continues(tag: number): boolean {
    const at = this.pos;
    if (this.tag() === tag) return true;
    this.pos = at;
    return false;
  }

  /** @throws TranscodeError TOO_COMPLEX where more than is left was spent */
  spend(units: number): void {
    this.units -= units;
    if (this.units < 0) throw tooComplex(maxResponseWorkUnits);
  }

  /** The low 32 bits of a varint, unsigned. */
  uint32(): number {
    const byte = this.bytes[this.pos];
    if (byte !== undefined && byte < 0x80) {
      this.pos++;
      return byte;
    }
    this.varint64();
    return this.low;
  }

  /** A varint of up to ten bytes into `low` and `high`; bits beyond 64 are dropped, as other readers do. */
  varint64(): void {
    const bytes = this.bytes;
    const start = this.pos;
    let low = 0;
    let high = 0;
    for (let index = 0; index < maxVarintBytes; index++) {
      const byte = bytes[start + index];
      if (byte === undefined) throw truncated();
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index === 4) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (7 * index - 32);
      if (byte < 0x80) {
        this.pos = start + index + 1;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw malformed("a varint is longer than ten bytes");
  }

  /** A zigzag varint into `low` and `high`, in two's complement. */
  zigzag64(): void {
    this.varint64();
    const mask = -(this.low & 1);
    const low = ((this.low >>> 1) | (this.high << 31)) ^ mask;
    this.high = ((this.high >>> 1) ^ mask) >>> 0;
    this.low = low >>> 0;
  }

  fixed64(): void {
    const at = this.#take(8);
    this.low = this.view.getUint32(at, true);
    this.high = this.view.getUint32(at + 4, true);
  }

  fixed32(): number {
    return this.view.getUint32(this.#take(4), true);
  }

  float(): number {
    return this.view.getFloat32(this.#take(4), true);
  }

  double(): number {
    return this.view.getFloat64(this.#take(8), true);
  }

  /** Reads a length and gives the offset where that value ends; `pos` is at its start. */
  span(): number {
    const byte = this.bytes[this.pos];
    let length: number;
    if (byte !== undefined && byte < 0x80) {
      this.pos++;
      length = byte;
    } else {
      this.varint64();
      if (this.high !== 0) throw truncated();
      length = this.low;
    }
    const end = this.pos + length;
    if (end > this.bytes.length) throw truncated();
    return end;
  }

  /** After the start tag of a group: gives the offset where its content ends and leaves `pos` after the end tag. */
  group(number: number, depth: number): number {
    for (;;) {
      const start = this.pos;
      const tag = this.tag();
      if ((tag & 7) === END_GROUP) {
        if (tag >>> 3 !== number) throw malformed("a group ends with the tag of another");
        return start;
      }
      this.skip(tag, depth);
    }
  }

  /**
   * Passes over the value after `tag`.
   * @param depth levels of groups that may still open.
   */
  skip(tag: number, depth: number): void {
    if (tag >>> 3 === 0) throw malformed("a tag has the field number 0");
    switch (tag & 7) {
      case VARINT:
        this.varint64();
        return;
      case FIXED64:
        this.#take(8);
        return;
      case LENGTH:
        this.pos = this.span();
        return;
      case START_GROUP:
        if (depth <= 0) throw new TranscodeError("TOO_DEEP", "", "the message nests too many groups");
        this.group(tag >>> 3, depth - 1);
        return;
      case FIXED32:
        this.#take(4);
        return;
      case END_GROUP:
        throw malformed("a group ends that never began");
      default:
        throw malformed(`a tag has the unknown wire type ${tag & 7}`);
    }
  }

  #take(count: number): number {
    const at = this.pos;
    if (at + count > this.bytes.length) throw truncated();
    this.pos = at + count;
    return at;
  }
}

/** The error for bytes that are no message of the type; `what` is the problem. */
export function malformed(what: string): TranscodeError {
  return new TranscodeError("MALFORMED_MESSAGE", "", what);
}

export function tooLarge(): TranscodeError {
  return malformed(`the message is more than ${maxJsonBytes} bytes as JSON`);
}

export function truncated(): TranscodeError {
  return malformed("the message is cut short");
}
