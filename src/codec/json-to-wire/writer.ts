import { GrowingBuffer } from "../growing-buffer.js";
import type { Long } from "./decimal.js";

const loneSurrogate = /\p{Surrogate}/u;
/** Up to so many characters a string is written faster by hand than by a native call. */
const maxHandCopiedChars = 40;
/** The same for bytes from one buffer to another. */
const minNativeCopyBytes = 128;

/** Collects the bytes of one message. */
export class Writer extends GrowingBuffer {
  /** @param capacity bytes to start with, at least 16. */
  constructor(capacity = 1024) {
    super(Math.max(16, capacity));
  }

  /** Removes all bytes after the first `length`. */
  truncate(length: number): void {
    this.at = length;
  }

  /** A fresh copy of the bytes written; the writer may be reset and used again at once. */
  finish(): Uint8Array {
    const length = this.at;
    const copy = Buffer.allocUnsafe(length);
    if (length >= minNativeCopyBytes) this.data.copy(copy, 0, 0, length);
    else for (let index = 0; index < length; index++) copy[index] = this.data[index]!;
    return copy;
  }

  /** An unsigned 32-bit varint: tags, lengths, uint32. */
  uint32(value: number): void {
    this.reserve(5);
    this.at = putVarint(this.data, this.at, value);
  }

  /** Negative values take ten bytes, as the wire format demands. */
  int32(value: number): void {
    if (value >= 0) this.uint32(value);
    else this.#varint64(value, -1);
  }

  sint32(value: number): void {
    this.uint32(((value << 1) ^ (value >> 31)) >>> 0);
  }

  bool(value: boolean): void {
    this.reserve(1);
    this.data[this.at++] = value ? 1 : 0;
  }

  /** int64 and uint64; a number must be an integer that a double holds exactly. */
  int64(value: number | Long): void {
    if (typeof value !== "number") {
      this.#varint64(value.low, value.high);
    } else if (value >= 0 && value <= 0xffffffff) {
      this.uint32(value);
    } else {
      this.#varint64(value >>> 0, Math.floor(value / 0x1_0000_0000));
    }
  }

  /** int64 and uint64 from the two halves. */
  long(low: number, high: number): void {
    this.#varint64(low, high);
  }

  sint64(value: number | Long): void {
    const low = typeof value === "number" ? value >>> 0 : value.low;
    const high = typeof value === "number" ? Math.floor(value / 0x1_0000_0000) : value.high;
    const sign = high >> 31;
    this.#varint64((low << 1) ^ sign, ((high << 1) | (low >>> 31)) ^ sign);
  }

  fixed32(value: number): void {
    this.reserve(4);
    this.view.setInt32(this.at, value, true);
    this.at += 4;
  }

  fixed64(value: number | Long): void {
    this.reserve(8);
    const isNumber = typeof value === "number";
    this.view.setInt32(this.at, isNumber ? value : value.low, true);
    this.view.setInt32(this.at + 4, isNumber ? Math.floor(value / 0x1_0000_0000) : value.high, true);
    this.at += 8;
  }

  float(value: number): void {
    this.reserve(4);
    this.view.setFloat32(this.at, value, true);
    this.at += 4;
  }

  double(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /**
   * A length and the string in UTF-8.
   * @returns false, with nothing written, where the string has half of a surrogate pair.
   */
  string(value: string): boolean {
    const length = value.length;
    this.reserve(length * 3 + 5);
    const bytes = this.data;
    if (length <= maxHandCopiedChars) {
      const start = this.at + 1;
      let index = 0;
      for (; index < length; index++) {
        const code = value.charCodeAt(index);
        if (code > 0x7f) break;
        bytes[start + index] = code;
      }
      if (index === length) {
        bytes[this.at] = length;
        this.at = start + length;
        return true;
      }
    }
    const start = this.begin();
    const written = bytes.write(value, this.at, length * 3, "utf8");
    if (written !== length && loneSurrogate.test(value)) {
      this.at = start - 1;
      return false;
    }
    this.at += written;
    this.end(start);
    return true;
  }

  /** A length and the bytes. */
  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.raw(value);
  }

  /** A length and a piece of other bytes. */
  slice(from: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(length + 5);
    if (length >= minNativeCopyBytes) {
      this.at = putVarint(this.data, this.at, length);
      this.data.set(from.subarray(start, end), this.at);
      this.at += length;
      return;
    }
    const bytes = this.data;
    let at = this.at;
    bytes[at++] = length;
    for (let index = start; index < end; index++) bytes[at++] = from[index]!;
    this.at = at;
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.data.set(value, this.at);
    this.at += value.length;
  }

  /**
   * Opens a length-delimited value whose length is not known yet.
   * @returns the handle that `end` needs to close it.
   */
  begin(): number {
    this.reserve(1);
    return ++this.at;
  }

  /** Closes the value that `begin` opened: its length goes before it. */
  end(start: number): void {
    const length = this.at - start;
    if (length < 0x80) {
      this.data[start - 1] = length;
      return;
    }
    const extra = varintSize(length) - 1;
    this.reserve(extra);
    this.data.copyWithin(start + extra, start, this.at);
    putVarint(this.data, start - 1, length);
    this.at += extra;
  }

  #varint64(low: number, high: number): void {
    this.reserve(10);
    const bytes = this.data;
    let at = this.at;
    let lo = low >>> 0;
    let hi = high >>> 0;
    while (hi !== 0 || lo > 0x7f) {
      bytes[at++] = (lo & 0x7f) | 0x80;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    bytes[at++] = lo;
    this.at = at;
  }
}

function putVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
