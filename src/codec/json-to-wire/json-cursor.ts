import { isUtf8 } from "node:buffer";
import { asBuffer } from "../../net/buffer.js";
import type { JsonNumber, JsonValue } from "../json.js";
import { numberValue } from "../json.js";
import { cost, tooComplex } from "../work.js";
import { isNumberText } from "./decimal.js";
import type { NameTable } from "./name-table.js";
import { parseJson } from "./parse-json.js";
import type { Writer } from "./writer.js";

/**
 * Thrown where one pass over the bytes does not understand a text: malformed, of the wrong type, or rare. The catcher
 * starts over by way of the JSON tree, which decides what the text means or what is wrong with it; so BAIL carries no
 * reason.
 */
export const BAIL: unique symbol = Symbol("JSON for the tree");

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const loneSurrogate = /\p{Surrogate}/u;

/**
 * Walks the bytes of one JSON text and copies values to a Writer. Each method starts at the first byte of its value,
 * after white space, and leaves `pos` behind it; all throw BAIL.
 */
export class JsonCursor {
  readonly bytes: Buffer;
  pos = 0;
  /** Units of work that are left (`work.ts`). */
  units: number;
  /** The two halves of the last 64-bit integer, unsigned. */
  low = 0;
  high = 0;

  constructor(bytes: Uint8Array, units: number) {
    this.bytes = asBuffer(bytes);
    this.units = units;
    if (!isUtf8(this.bytes)) throw BAIL;
    this.space();
  }

  /** @throws TranscodeError TOO_COMPLEX where more than is left was spent */
  spend(units: number): void {
    this.units -= units;
    if (this.units < 0) throw tooComplex();
  }

  /** The end of the text: nothing but white space is left. */
  finish(): void {
    this.space();
    if (this.pos !== this.bytes.length) throw BAIL;
  }

  /** Skips white space and gives the byte after it. */
  space(): number | undefined {
    const bytes = this.bytes;
    let at = this.pos;
    let byte = bytes[at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at];
    this.pos = at;
    return byte;
  }

  /** Enters an object: true at its first member, false where it has none and is left again. */
  openObject(): boolean {
    this.spend(cost.object);
    return this.#open(OPEN_OBJECT, CLOSE_OBJECT);
  }

  /** After a member's value: true at the next member, false behind the object. */
  nextMember(): boolean {
    return this.#next(CLOSE_OBJECT);
  }

  openList(): boolean {
    return this.#open(OPEN_LIST, CLOSE_LIST);
  }

  nextElement(): boolean {
    return this.#next(CLOSE_LIST);
  }

  /**
   * A member's name and colon.
   * @param guess the entry that the name probably means: members mostly come in the order of the fields
   * @returns the name's entry in the table
   */
  member(names: NameTable, guess: number): number {
    const bytes = this.bytes;
    let at = this.pos;
    if (bytes[at++] !== QUOTE) throw BAIL;
    let index = guess;
    const text = names.quoted[guess];
    let length = 0;
    if (text !== undefined) while (length < text.length && bytes[at + length] === text[length]) length++;
    if (text !== undefined && length === text.length) {
      this.pos = at + length;
    } else {
      this.pos = at - 1;
      index = this.name(names);
    }
    this.#colon();
    return index;
  }

  /** A string that the table has: its entry. */
  name(names: NameTable): number {
    const bytes = this.bytes;
    const start = this.pos + 1;
    let at = start;
    let hash = 0;
    let byte = bytes[at];
    while (byte !== QUOTE) {
      if (byte === undefined || byte === BACKSLASH) throw BAIL;
      hash = names.mix(hash, byte);
      byte = bytes[++at];
    }
    this.pos = at + 1;
    const index = names.find(hash, bytes, start, at);
    if (index < 0) throw BAIL;
    return index;
  }

  /** A member's name of any kind, with its colon. */
  key(): string {
    const key = this.text();
    this.#colon();
    return key;
  }

  /** True where the value is null, which is passed over. */
  null(): boolean {
    if (this.bytes[this.pos] !== 0x6e) return false;
    this.#word(0x75, 0x6c, 0x6c);
    this.pos += 4;
    return true;
  }

  bool(): boolean {
    if (this.bytes[this.pos] === 0x74) {
      this.#word(0x72, 0x75, 0x65);
      this.pos += 4;
      return true;
    }
    if (this.bytes[this.pos] !== 0x66 || this.bytes[this.pos + 4] !== 0x65) throw BAIL;
    this.#word(0x61, 0x6c, 0x73);
    this.pos += 5;
    return false;
  }

  atString(): boolean {
    return this.bytes[this.pos] === QUOTE;
  }

  /** True where the value is the empty string, which is passed over. */
  emptyString(): boolean {
    if (this.bytes[this.pos] !== QUOTE || this.bytes[this.pos + 1] !== QUOTE) return false;
    this.pos += 2;
    return true;
  }

  /** Copies a string to the wire, with its length before it. */
  string(writer: Writer): void {
    const bytes = this.bytes;
    const start = this.pos + 1;
    if (bytes[this.pos] !== QUOTE) throw BAIL;
    let at = start;
    let byte = bytes[at];
    while (byte !== QUOTE && byte !== BACKSLASH) {
      // Undefined, the end of the text, is not greater than anything either.
      if (!(byte! >= 0x20)) throw BAIL;
      byte = bytes[++at];
    }
    if (byte === QUOTE) {
      writer.slice(bytes, start, at);
      this.pos = at + 1;
    } else if (!writer.string(this.text())) {
      throw BAIL;
    }
  }

  /** A string. */
  text(): string {
    const bytes = this.bytes;
    const start = this.pos;
    if (bytes[start] !== QUOTE) throw BAIL;
    let plain = true;
    let at = start + 1;
    for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[++at]) {
      if (!(byte! >= 0x20)) throw BAIL;
      if (byte === BACKSLASH) {
        plain = false;
        at++;
      }
    }
    this.pos = at + 1;
    this.spend(plain ? cost.string : cost.escapes);
    if (plain) return bytes.toString("utf8", start + 1, at);
    return unescaped(bytes.toString("utf8", start, at + 1));
  }

  /** A string, number or boolean as the tree would hold it, or null. */
  scalar(): JsonValue {
    switch (this.bytes[this.pos]) {
      case QUOTE:
        return this.text();
      case 0x74:
      case 0x66:
        return this.bool();
      case 0x6e:
        return this.null() ? null : false;
      default:
        return this.number();
    }
  }

  number(): number | JsonNumber {
    this.spend(cost.numberText);
    const bytes = this.bytes;
    const start = this.pos;
    let at = start;
    let byte = bytes[at];
    while (
      byte !== undefined &&
      ((byte >= 0x30 && byte <= 0x39) ||
        byte === MINUS ||
        byte === 0x2b ||
        byte === 0x2e ||
        byte === 0x65 ||
        byte === 0x45)
    )
      byte = bytes[++at];
    const source = bytes.toString("latin1", start, at);
    if (!isNumberText(source)) throw BAIL;
    this.pos = at;
    return numberValue(source);
  }

  /** A value of any kind as a tree. */
  tree(depth: number): JsonValue {
    const start = this.pos;
    const bytes = this.bytes;
    let open = 0;
    let at = start;
    do {
      const byte = bytes[at];
      if (byte === undefined) throw BAIL;
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) open++;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) open--;
      else if (byte === QUOTE) {
        this.pos = at;
        this.text();
        at = this.pos - 1;
      } else if (open === 0) {
        this.pos = at;
        return this.scalar();
      }
      at++;
    } while (open > 0);
    this.pos = at;
    this.spend(cost.any);
    return parseJson(bytes.subarray(start, at), { depth, work: this });
  }

  #open(open: number, close: number): boolean {
    if (this.bytes[this.pos] !== open) throw BAIL;
    this.pos++;
    this.spend(1);
    if (this.space() !== close) return true;
    this.pos++;
    return false;
  }

  #next(close: number): boolean {
    const byte = this.space();
    this.pos++;
    if (byte === COMMA) {
      this.spend(1);
      this.space();
      return true;
    }
    if (byte === close) return false;
    throw BAIL;
  }

  #colon(): void {
    if (this.space() !== COLON) throw BAIL;
    this.pos++;
    this.space();
  }

  /** The three bytes after the first of a literal. */
  #word(second: number, third: number, fourth: number): void {
    const { bytes, pos } = this;
    if (bytes[pos + 1] !== second || bytes[pos + 2] !== third || bytes[pos + 3] !== fourth) throw BAIL;
  }
}

/** The string that a JSON string means, quotes and escapes included. */
function unescaped(source: string): string {
  let text: unknown;
  try {
    text = JSON.parse(source);
  } catch {
    throw BAIL;
  }
  if (typeof text !== "string" || loneSurrogate.test(text)) throw BAIL;
  return text;
}
