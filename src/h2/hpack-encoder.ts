import { ByteWriter } from "./bytes.js";

// Fields are written as literals without indexing (RFC 7541 §6.2.2): a table would cost more time here than it saves on
// the wire.
//
//       0   1   2   3   4   5   6   7              0   1   2   3   4   5   6   7
//     +---+---+---+---+---+---+---+---+          +---+---+---+---+---+---+---+---+
//     | 0 | 0 | 0 | 0 |  Index (4+)   |          | 0 | 0 | 0 | 0 |       0       |
//     +---+---+---+---+---+---+---+---+          +---+---+---+---+---+---+---+---+
//     | 0 |   Length of value (7+)    |          | 0 |   Length of name (7+)     |
//     +---+---------------------------+          +---+---------------------------+
//     |  Value …                      |          |  Name …                       |
//     +-------------------------------+          +---+---------------------------+
//        a name of the static table              | 0 |   Length of value (7+)    |
//                                                +---+---------------------------+
//                                                |  Value …                      |
//                                                +-------------------------------+
//                                                           another name

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

/** A field of the static table, name and value (§6.1); `index` is below 62. */
export function indexedField(index: number): number {
  return 0x80 | index;
}

/**
 * A table of size 0 (RFC 7541 §6.3), which the first block of a connection begins with: a peer with a smaller one
 * than the initial 4,096 bytes must be sent such an update (§4.2), and no size that it sets later is smaller.
 */
export const noTable = Uint8Array.of(0x20);
