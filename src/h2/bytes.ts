/** Bytes that grow at their end. After reserving, callers may write to `bytes` from `length` on and move `length`. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const bytes = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(bytes, 0, 0, this.length);
    this.bytes = bytes;
  }

  append(bytes: Uint8Array): void {
    const size = bytes.length;
    this.reserve(size);
    const { bytes: all, length } = this;
    // A call into the runtime costs more than some bytes.
    if (size > 48) all.set(bytes, length);
    else for (let index = 0; index < size; index++) all[length + index] = bytes[index]!;
    this.length = length + size;
  }

  /** One byte for each character; room must have been reserved. */
  ascii(text: string): void {
    const { bytes, length } = this;
    // A call into the runtime costs more than some characters.
    if (text.length > 32) bytes.write(text, length, "latin1");
    else for (let index = 0; index < text.length; index++) bytes[length + index] = text.charCodeAt(index);
    this.length += text.length;
  }
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** 0..2^32-1 */
export function readUint32(bytes: Uint8Array, at: number): number {
  return readUint31(bytes, at) + (bytes[at]! >= 0x80 ? 0x8000_0000 : 0);
}

/** Without the first bit, which HTTP/2 reserves (RFC 9113 §4.1). */
export function readUint31(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Bytes `from` to `to` in a buffer of their own. */
export function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const size = to - from;
  const copy = Buffer.allocUnsafe(size);
  // A call into the runtime costs more than some bytes.
  if (size > 128) bytes.copy(copy, 0, from, to);
  else for (let index = 0; index < size; index++) copy[index] = bytes[from + index]!;
  return copy;
}
