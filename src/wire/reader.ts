import { END_GROUP, FIXED32, FIXED64, LENGTH, START_GROUP, VARINT } from "./wire-type.js";

const maxFieldNumber = 0x1fff_ffff;
const maxGroupDepth = 100;
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads the fields of one serialized message, one after the other. */
export class WireReader {
  number = 0;
  wireType = 0;
  #at = 0;
  #view: DataView | undefined;

  constructor(readonly bytes: Uint8Array) {}

  /** Where the next byte is read. */
  get position(): number {
    return this.#at;
  }

  /** True where nothing is left; of packed values, which have no tags. */
  get done(): boolean {
    return this.#at >= this.bytes.length;
  }

  /** Moves to the next field; false at the end. @throws RangeError where the bytes are not a message. */
  next(): boolean {
    if (this.done) return false;
    const tag = this.#number();
    this.number = Math.floor(tag / 8);
    this.wireType = tag & 7;
    if (this.number === 0 || this.number > maxFieldNumber)
      throw new RangeError(`field number ${this.number}`);
    return true;
  }

  /** A varint as a number, exact up to 2^53. */
  #number(): number {
    const at = this.#at;
    const first = this.bytes[at] ?? 0x80;
    const second = this.bytes[at + 1] ?? 0x80;
    if (first < 0x80) {
      this.#at = at + 1;
      return first;
    }
    if (second < 0x80) {
      this.#at = at + 2;
      return (second << 7) | (first & 0x7f);
    }
    return Number(this.varint());
  }

  /** An unsigned 64-bit varint. */
  varint(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("a varint of more than ten bytes");
  }

  /** A varint of type `int32` or an enum. */
  int32(): number {
    return Number(BigInt.asIntN(32, this.varint()));
  }

  fixed32(): number {
    return this.#dataView().getUint32(this.#advance(4), true);
  }

  fixed64(): bigint {
    return this.#dataView().getBigUint64(this.#advance(8), true);
  }

  float(): number {
    return this.#dataView().getFloat32(this.#advance(4), true);
  }

  double(): number {
    return this.#dataView().getFloat64(this.#advance(8), true);
  }

  /** The bytes of a length-delimited value, not copied. */
  delimited(): Uint8Array {
    const length = this.#number();
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  string(): string {
    return utf8.decode(this.delimited());
  }

  /** The bytes of the group whose start was just read, without its end tag. */
  group(): Uint8Array {
    const start = this.#at;
    const end = this.#skipGroup(this.number, 0);
    return this.bytes.subarray(start, end);
  }

  skip(): void {
    this.#skip(this.wireType, this.number, 0);
  }

  #skip(wireType: number, number: number, depth: number): void {
    switch (wireType) {
      case VARINT:
        this.varint();
        break;
      case FIXED64:
        this.#advance(8);
        break;
      case LENGTH:
        this.delimited();
        break;
      case FIXED32:
        this.#advance(4);
        break;
      case START_GROUP:
        this.#skipGroup(number, depth + 1);
        break;
      default:
        throw new RangeError(`wire type ${wireType}`);
    }
  }

  #skipGroup(number: number, depth: number): number {
    if (depth > maxGroupDepth) throw new RangeError("groups nested too deep");
    for (;;) {
      const end = this.#at;
      if (!this.next()) throw new RangeError("a group without end");
      if (this.wireType === END_GROUP) {
        if (this.number !== number) throw new RangeError("a group ended by another");
        return end;
      }
      this.#skip(this.wireType, this.number, depth);
    }
  }

  #dataView(): DataView {
    const { buffer, byteOffset, byteLength } = this.bytes;
    this.#view ??= new DataView(buffer, byteOffset, byteLength);
    return this.#view;
  }

  #byte(): number {
    const byte = this.bytes[this.#at++];
    if (byte === undefined) throw new RangeError("cut off");
    return byte;
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length > this.bytes.length - start) throw new RangeError("cut off");
    this.#at = start + length;
    return start;
  }
}

/** The last value of a varint field, as a number; undefined where the message does not have it. */
export function varintField(message: Uint8Array, number: number): number | undefined {
  if (message.length === 0) return undefined;
  const reader = new WireReader(message);
  let found: number | undefined;
  while (reader.next()) {
    if (reader.number === number && reader.wireType === VARINT) found = Number(reader.varint());
    else reader.skip();
  }
  return found;
}
