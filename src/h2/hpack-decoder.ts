import type { FieldType, HeaderField } from "./hpack-table.js";
import { DynamicTable } from "./hpack-table.js";
import { decodeHuffman } from "./huffman.js";
import { ConnectionError, ErrorCode } from "./protocol.js";

/** Takes the fields of a block in their order. */
export interface FieldSink<F extends HeaderField> {
  field(field: F): void;
}

/** Table size updates of one block; an encoder needs two (RFC 7541 §4.2). */
const maxUpdates = 16;

/**
 * Huffman-coded strings are decoded to here, by all decoders. Each makes a string of it before anything else runs: no
 * await between set and use.
 */
let scratch = Buffer.allocUnsafeSlow(0);

/**
 * Decodes the header blocks of one connection, all of them and in their order (RFC 7541 §6).
 *
 *       0   1   2   3   4   5   6   7
 *     +---+---+---+---+---+---+---+---+
 *     | 1 |        Index (7+)         |   indexed: name and value from a table (§6.1)
 *     +---+---+---+---+---+---+---+---+
 *     | 0 | 1 |      Index (6+)       |   literal, added to the dynamic table (§6.2.1)
 *     +---+---+---+---+---+---+---+---+
 *     | 0 | 0 | 1 |   Max size (5+)   |   dynamic table size update (§6.3)
 *     +---+---+---+---+---+---+---+---+
 *     | 0 | 0 | 0 | 0 |  Index (4+)   |   literal without indexing (§6.2.2)
 *     +---+---+---+---+---+---+---+---+
 *     | 0 | 0 | 0 | 1 |  Index (4+)   |   literal that must never be indexed (§6.2.3); the same to us
 *     +---+---+---+---+---+---+---+---+
 *
 * Each literal is followed by its name, where the index is 0, and its value.
 */
export class HpackDecoder<F extends HeaderField> {
  readonly #type: FieldType<F>;
  readonly #tableSize: number;
  readonly #table: DynamicTable<F>;
  #block: Buffer = scratch;
  #at = 0;
  #end = 0;

  /**
   * @param tableSize our SETTINGS_HEADER_TABLE_SIZE, in bytes
   * @param maxBlockSize bytes of a block
   */
  constructor(type: FieldType<F>, tableSize: number, maxBlockSize: number) {
    this.#type = type;
    this.#tableSize = tableSize;
    this.#table = new DynamicTable(tableSize);
    // The shortest code has five bits.
    const needed = Math.ceil((maxBlockSize * 8) / 5);
    if (scratch.length < needed) scratch = Buffer.allocUnsafeSlow(needed);
  }

  /**
   * Decodes bytes `from` to `to` of `block`.
   * @throws ConnectionError (COMPRESSION_ERROR) where they are no header block
   */
  decode(block: Buffer, from: number, to: number, sink: FieldSink<F>): void {
    this.#block = block;
    this.#at = from;
    this.#end = to;
    let fields = false;
    let updates = 0;
    while (this.#at < to) {
      const byte = block[this.#at]!;
      if (byte >= 0x80) {
        sink.field(this.#indexed(this.#integer(7)));
        fields = true;
      } else if (byte >= 0x40) {
        const field = this.#literal(6);
        this.#table.add(field);
        sink.field(field);
        fields = true;
      } else if (byte >= 0x20) {
        if (fields) throw malformed("a table size update after a header field");
        if (++updates > maxUpdates) throw malformed(`more than ${maxUpdates} table size updates`);
        this.#resize(this.#integer(5));
      } else {
        sink.field(this.#literal(4));
        fields = true;
      }
    }
    this.#block = scratch;
  }

  #resize(size: number): void {
    const max = this.#tableSize;
    if (size > max) throw malformed(`a table of ${size} bytes, at most ${max} are allowed`);
    this.#table.resize(size);
  }

  #indexed(index: number): F {
    const { staticTable } = this.#type;
    const field =
      index <= staticTable.length ? staticTable[index - 1] : this.#table.at(index - staticTable.length - 1);
    if (field === undefined) throw malformed(`index ${index} is in neither table`);
    return field;
  }

  /** §6.2; `prefix` is the number of bits that the index of the name has. */
  #literal(prefix: 4 | 6): F {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    return this.#type.create(name, this.#string());
  }

  /**
   * §5.1: a number below 2^N - 1 is in the prefix of N bits; else the prefix is all ones, and the rest
   * follows in groups of seven bits, the lowest first. Nothing here needs more than 28 bits.
   *
   *       0   1   2   3   4   5   6   7
   *     +---+---+---+---+---+---+---+---+
   *     | ?   ?   ? | 1   1   1   1   1 |   prefix, here of N = 5 bits
   *     +---+---+---+---+---+---+---+---+
   *     | 1 |  (value - 31) mod 128     |   1: another byte follows
   *     +---+---------------------------+
   *     | 0 |  (value - 31) / 128       |
   *     +---+---------------------------+
   */
  #integer(prefix: number): number {
    const max = (1 << prefix) - 1;
    const first = this.#block[this.#at++]! & max;
    if (first < max) return first;
    let value = max;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#next();
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw malformed("an integer is too large");
  }

  /**
   * §5.2
   *
   *       0   1   2   3   4   5   6   7
   *     +---+---+---+---+---+---+---+---+
   *     | H |      Length (7+)          |   H: the bytes are Huffman-coded
   *     +---+---------------------------+
   *     |  String (Length bytes) …      |
   *     +-------------------------------+
   */
  #string(): string {
    if (this.#at >= this.#end) throw malformed("the block ends within a field");
    const coded = this.#block[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const from = this.#at;
    const to = from + length;
    if (to > this.#end) throw malformed("a string is longer than its block");
    this.#at = to;
    if (!coded) return this.#block.toString("latin1", from, to);
    const size = decodeHuffman(this.#block, from, to, scratch);
    if (size < 0) throw malformed("a string that is marked as Huffman-coded is not");
    return scratch.toString("latin1", 0, size);
  }

  #next(): number {
    if (this.#at >= this.#end) throw malformed("the block ends within a field");
    return this.#block[this.#at++]!;
  }
}

function malformed(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.CompressionError, `malformed header block: ${message}`);
}
