import { isUtf8 } from "node:buffer";
import { GrowingBuffer } from "../growing-buffer.js";
import { civilDate } from "../instant.js";
import { BAIL } from "../json-to-wire/json-cursor.js";
import { maxJsonBytes } from "../work.js";
import { tooLarge } from "./reader.js";

/** Up to so many characters or bytes are copied faster by hand than by a native call. */
const maxHandCopiedChars = 48;
const BILLION = 1_000_000_000;
const TWO_32 = 0x1_0000_0000;
const ZERO = 0x30;
/** Digits behind the point up to which a decimal is written without a native call. */
const maxDecimals = 6;

/** A piece of JSON text that is known at load time. */
export class JsonPiece {
  readonly length: number;
  readonly ascii: boolean;
  /** The UTF-8, four bytes a word, zeros after its end. */
  readonly words: Int32Array;

  constructor(text: string) {
    const bytes = Buffer.from(text);
    this.length = bytes.length;
    this.ascii = bytes.length === text.length;
    const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
    bytes.copy(padded);
    this.words = Int32Array.from({ length: padded.length / 4 }, (_, index) => padded.readInt32LE(index * 4));
  }
}

/**
 * Collects the UTF-8 of one JSON text. Values and members are each followed by a comma, which closing a list or an object
 * takes back.
 */
export class JsonWriter extends GrowingBuffer {
  #ascii = true;

  constructor() {
    super(4096);
  }

  override reset(): void {
    super.reset();
    this.#ascii = true;
  }

  /**
   * The text without its last comma.
   * @throws BAIL where one of the strings is not UTF-8; looked for here, as one look at all of them is cheaper
   */
  finish(): string {
    if (!this.#ascii && !isUtf8(this.data.subarray(0, this.at))) throw BAIL;
    return this.data.toString(this.#ascii ? "latin1" : "utf8", 0, Math.max(0, this.at - 1));
  }

  /** One ASCII character. */
  byte(code: number): void {
    this.reserve(1);
    this.data[this.at++] = code;
  }

  /** `}` or `]`, instead of the comma after the last element, and a comma. */
  close(code: number): void {
    this.reserve(2);
    if (this.data[this.at - 1] === 0x2c) this.at--;
    this.data[this.at++] = code;
    this.data[this.at++] = 0x2c;
  }

  piece(piece: JsonPiece): void {
    const { length, words } = piece;
    this.reserve(length + 4);
    const view = this.view;
    // The excess bytes of the last word are overwritten by the next write.
    for (let index = 0, at = this.at; index < words.length; index++, at += 4) {
      view.setInt32(at, words[index]!, true);
    }
    this.at += length;
    if (!piece.ascii) this.#ascii = false;
  }

  /** JSON text. */
  text(text: string): void {
    const { length } = text;
    this.reserve(length * 3);
    const bytes = this.data;
    const start = this.at;
    if (length <= maxHandCopiedChars) {
      let index = 0;
      for (; index < length; index++) {
        const code = text.charCodeAt(index);
        if (code > 0x7f) break;
        bytes[start + index] = code;
      }
      if (index === length) {
        this.at = start + length;
        return;
      }
    }
    const written = bytes.write(text, start, length * 3, "utf8");
    if (written !== length) this.#ascii = false;
    this.at = start + written;
  }

  /**
   * UTF-8 between quotes.
   * @returns false, with nothing written, where a character needs an escape
   */
  quoted(from: Uint8Array, start: number, end: number): boolean {
    this.reserve(end - start + 2);
    const bytes = this.data;
    let at = this.at;
    let union = 0;
    bytes[at++] = 0x22;
    for (let index = start; index < end; index++) {
      const byte = from[index]!;
      if (byte < 0x20 || byte === 0x22 || byte === 0x5c) return false;
      union |= byte;
      bytes[at++] = byte;
    }
    if (union > 0x7f) this.#ascii = false;
    bytes[at++] = 0x22;
    this.at = at;
    return true;
  }

  /** An integer that a double holds exactly. */
  integer(value: number): void {
    this.reserve(20);
    let rest = value;
    if (rest < 0) {
      this.data[this.at++] = 0x2d;
      rest = 0 - rest;
    }
    this.#digits(rest);
  }

  /** A 64-bit integer of two unsigned halves. */
  long(low: number, high: number, signed: boolean): void {
    this.reserve(21);
    let lower = low;
    let upper = high;
    if (signed && high >= 0x8000_0000) {
      this.data[this.at++] = 0x2d;
      lower = -low >>> 0;
      upper = (~high + (lower === 0 ? 1 : 0)) >>> 0;
    }
    if (upper < 0x20_0000) {
      this.#digits(upper * TWO_32 + lower);
      return;
    }
    // Divides by 10⁹ in pieces that doubles hold exactly.
    const middle = (upper % BILLION) * 0x1_0000 + (lower >>> 16);
    const last = (middle % BILLION) * 0x1_0000 + (lower & 0xffff);
    const top = Math.floor(upper / BILLION) * TWO_32 + Math.floor(middle / BILLION) * 0x1_0000;
    this.#digits(top + Math.floor(last / BILLION));
    this.#nine(last % BILLION);
  }

  /**
   * A time in UTC between quotes, with three, six or nine digits after the second or none.
   * @param seconds of the epoch, in the years 0001 to 9999
   * @param nanos 0 to 999,999,999
   */
  utc(seconds: number, nanos: number): void {
    this.reserve(36);
    const bytes = this.data;
    const day = Math.floor(seconds / 86400);
    const ofDay = seconds - day * 86400;
    const { year, month, date } = civilDate(day);
    bytes[this.at++] = 0x22;
    this.#pair(Math.trunc(year / 100));
    this.#pair(year % 100);
    bytes[this.at++] = 0x2d;
    this.#pair(month);
    bytes[this.at++] = 0x2d;
    this.#pair(date);
    bytes[this.at++] = 0x54;
    this.#pair(Math.trunc(ofDay / 3600));
    bytes[this.at++] = 0x3a;
    this.#pair(Math.trunc(ofDay / 60) % 60);
    bytes[this.at++] = 0x3a;
    this.#pair(ofDay % 60);
    if (nanos !== 0) {
      bytes[this.at++] = 0x2e;
      this.#nine(nanos);
      this.at -= nanos % 1_000_000 === 0 ? 6 : nanos % 1000 === 0 ? 3 : 0;
    }
    bytes[this.at++] = 0x5a;
    bytes[this.at++] = 0x22;
  }

  /**
   * The shortest decimal of a finite number, where it is an integer or has up to six digits behind the point.
   * @param reads whether a decimal stands for the number
   * @returns false, with nothing written, for all others
   */
  decimal(value: number, reads: (decimal: number, value: number) => boolean): boolean {
    if ((value | 0) === value && !Object.is(value, -0)) {
      this.integer(value);
      return true;
    }
    // Of a decimal with at most 15 digits that reads as this number there is no shorter one with more of them.
    for (let decimals = 1, power = 10; decimals <= maxDecimals; decimals++, power *= 10) {
      // Halves go away from zero, as in native conversions.
      const scaled = Math.sign(value) * Math.round(Math.abs(value) * power);
      if ((scaled | 0) !== scaled) return false;
      if (scaled !== 0 && reads(scaled / power, value)) {
        this.#fixed(scaled, decimals, power);
        return true;
      }
    }
    return false;
  }

  /** `scaled / power`, with as many digits behind the point as the power has zeros. */
  #fixed(scaled: number, decimals: number, power: number): void {
    this.reserve(14);
    const bytes = this.data;
    let rest = scaled;
    if (rest < 0) {
      bytes[this.at++] = 0x2d;
      rest = 0 - rest;
    }
    const whole = Math.trunc(rest / power);
    this.#digits(whole);
    let fraction = rest - whole * power;
    bytes[this.at] = 0x2e;
    for (let at = this.at + decimals; at > this.at; at--) {
      const next = (fraction / 10) | 0;
      bytes[at] = ZERO + fraction - next * 10;
      fraction = next;
    }
    this.at += decimals + 1;
  }

  /** An unsigned integer below 2^53; there is room for it. */
  #digits(value: number): void {
    if (value >= BILLION) {
      const top = Math.floor(value / BILLION);
      this.#digits(top);
      this.#nine(value - top * BILLION);
      return;
    }
    const bytes = this.data;
    let count = 1;
    for (let limit = 10; value >= limit; limit *= 10) count++;
    let rest = value | 0;
    for (let at = this.at + count - 1; at >= this.at; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.at += count;
  }

  /** Two digits of an integer below 100. */
  #pair(value: number): void {
    this.data[this.at++] = ZERO + Math.trunc(value / 10);
    this.data[this.at++] = ZERO + (value % 10);
  }

  /** Nine digits of an integer below 10⁹. */
  #nine(value: number): void {
    const bytes = this.data;
    let rest = value | 0;
    for (let at = this.at + 8; at >= this.at; at--) {
      const next = (rest / 10) | 0;
      bytes[at] = ZERO + rest - next * 10;
      rest = next;
    }
    this.at += 9;
  }

  protected override grow(needed: number): void {
    if (needed > maxJsonBytes) throw tooLarge();
    super.grow(needed);
  }
}
