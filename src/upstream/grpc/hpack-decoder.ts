import { decodeHuffman } from "../../h2/huffman.js";
import { ConnectionError, ErrorCode, maxHeaderList } from "../../h2/protocol.js";
import { HeaderField } from "./header-field.js";
import { DynamicTable, staticTable } from "./hpack-table.js";

/** Takes the fields of a block in their order. */
export interface FieldSink {
  field(field: HeaderField): void;
}

/** SETTINGS_HEADER_TABLE_SIZE as we leave it (RFC 9113 §6.5.2). */
export const tableSize = 4096;

/** Table size updates of one block; an encoder needs two (RFC 7541 §4.2). */
const maxUpdates = 16;

/** Decoded strings are read from here at once, so that all decoders share it. */
const scratch = Buffer.allocUnsafeSlow(Math.ceil((maxHeaderList * 8) / 5));

/** Decodes the header blocks of one connection, all of them and in their order (RFC 7541). */
export class HpackDecoder {
  readonly #table = new DynamicTable(tableSize);
  #block: Buffer = scratch;
  #at = 0;
  #end = 0;

  /**
   * Decodes bytes `from` to `to` of `block`, at most `maxHeaderList` of them.
   * @throws ConnectionError (COMPRESSION_ERROR) where they are no header block
   */
  decode(block: Buffer, from: number, to: number, sink: FieldSink): void {
    this.#block = block;
    this.#at = from;
    this.#end = to;
    let fields = false;
    let updates = 0;
    while (this.#at < to) {
      const byte = block[this.#at]!;
      // The shape of the first bits tells the representation (§6).
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
    if (size > tableSize) throw malformed(`a table of ${size} bytes, at most ${tableSize} are allowed`);
    this.#table.resize(size);
  }

  #indexed(index: number): HeaderField {
    const field =
      index <= staticTable.length ? staticTable[index - 1] : this.#table.at(index - staticTable.length - 1);
    if (field === undefined) throw malformed(`index ${index} is in neither table`);
    return field;
  }

  /** §6.2; `prefix` is the number of bits that the index of the name has. */
  #literal(prefix: 4 | 6): HeaderField {
    const index = this.#integer(prefix);
    const name = index === 0 ? this.#string() : this.#indexed(index).name;
    return new HeaderField(name, this.#string());
  }

  /** §5.1; nothing here needs more than 28 bits. */
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

  /** §5.2 */
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
    if (size < 0) throw malformed("a string is not Huffman-coded as it says");
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
