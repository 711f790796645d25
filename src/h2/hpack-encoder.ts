import { ByteWriter } from "./bytes.js";

/** A literal field without indexing and with a new name, up to its value (RFC 7541 §6.2.2). */
export function encodedName(name: string): Buffer {
  const out = new ByteWriter(name.length + 8);
  out.reserve(1);
  out.bytes[out.length++] = 0;
  writeString(out, name);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

/** A literal field without indexing, its name from the static table (§6.2.2). */
export function writeIndexedName(out: ByteWriter, index: number, value: string): void {
  writeInteger(out, 4, 0, index);
  writeString(out, value);
}

/** ASCII text (§5.2), not Huffman-coded: bytes on the wire are cheaper than time. */
export function writeString(out: ByteWriter, text: string): void {
  writeInteger(out, 7, 0, text.length);
  out.reserve(text.length);
  out.ascii(text);
}

/** RFC 7541 §5.1; `first` holds the bits before the prefix. */
export function writeInteger(out: ByteWriter, prefix: number, first: number, value: number): void {
  const max = (1 << prefix) - 1;
  out.reserve(6);
  if (value < max) {
    out.bytes[out.length++] = first | value;
    return;
  }
  out.bytes[out.length++] = first | max;
  let rest = value - max;
  for (; rest >= 0x80; rest >>>= 7) out.bytes[out.length++] = (rest & 0x7f) | 0x80;
  out.bytes[out.length++] = rest;
}
