import { isAscii, isUtf8 } from "node:buffer";
import { excerpt, keySegment, TranscodeError } from "../error.js";
import { createObject, type JsonNumber, type JsonObject, type JsonValue, numberValue } from "../json.js";
import { cost, maxWorkUnits, spend, type Work } from "../work.js";

export interface JsonLimits {
  /** Most levels of nested lists and objects. */
  readonly depth: number;
  /** The work that is left for reading, and then for encoding; undefined: the limit of any one text. */
  readonly work?: Work;
}

/**
 * Parses one JSON text, strictly by RFC 8259: UTF-8 without errors, no repeated member names, no lone surrogates,
 * nothing after the value. A byte order mark is skipped. Numbers that a double would not print as the same text
 * are kept as text (`JsonNumber`).
 * @throws TranscodeError MALFORMED_JSON, DUPLICATE_KEY, TOO_DEEP or TOO_COMPLEX, with line and column.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): JsonValue {
  const { depth, work = { units: maxWorkUnits } } = limits;
  return new Parser(decodeText(bytes), depth, work).document();
}

function decodeText(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isAscii(buffer)) return buffer.toString("latin1");
  if (!isUtf8(buffer)) throw new TranscodeError("MALFORMED_JSON", "", "the JSON text is not valid UTF-8");
  const text = buffer.toString("utf8");
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;

/** Members from which on an object is a table. */
const maxInlineMembers = 64;

/** A decimal with at most this many characters reads into a double without losing a digit. */
const maxPlainNumberChars = 15;

/** The characters that may follow a backslash, beside `u`. */
const escapedCharacters = new Map([
  [0x22, '"'],
  [0x2f, "/"],
  [0x5c, "\\"],
  [0x62, "\b"],
  [0x66, "\f"],
  [0x6e, "\n"],
  [0x72, "\r"],
  [0x74, "\t"],
]);

class Parser {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;
  #depth = 0;
  readonly #work: Work;

  constructor(text: string, maxDepth: number, work: Work) {
    this.#text = text;
    this.#maxDepth = maxDepth;
    this.#work = work;
  }

  document(): JsonValue {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected("the end of the text");
    return value;
  }

  #value(): JsonValue {
    spend(this.#work, cost.treeValue);
    const code = this.#space();
    switch (code) {
      case QUOTE:
        spend(this.#work, cost.treeString);
        return this.#string();
      case 0x7b:
        return this.#object();
      case 0x5b:
        return this.#list();
      case 0x74:
        return this.#word("true", true);
      case 0x66:
        return this.#word("false", false);
      case 0x6e:
        return this.#word("null", null);
      default:
        if (code === MINUS || (code >= ZERO && code <= NINE)) return this.#number();
        throw this.#unexpected("a value");
    }
  }

  /** Skips white space and gives the code of the next character, NaN at the end. */
  #space(): number {
    const text = this.#text;
    let code = text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09)
      code = text.charCodeAt(++this.#at);
    return code;
  }

  #object(): JsonObject {
    spend(this.#work, cost.treeObject);
    const object = createObject();
    this.#enter();
    let key = "";
    let count = 0;
    try {
      if (this.#space() === 0x7d) return this.#leave(object);
      for (;;) {
        key = "";
        if (this.#space() !== QUOTE) throw this.#unexpected("a member name in quotes");
        spend(this.#work, ++count > maxInlineMembers ? cost.treeFurtherMember : cost.treeMember);
        const start = this.#at;
        const name = this.#string();
        if (object[name] !== undefined) {
          this.#at = start;
          throw this.#error(
            "DUPLICATE_KEY",
            `the object has two members named ${JSON.stringify(excerpt(name))}`,
          );
        }
        if (this.#space() !== 0x3a) throw this.#unexpected('":"');
        this.#at++;
        key = name;
        object[name] = this.#value();
        const code = this.#space();
        if (code === 0x7d) return this.#leave(object);
        if (code !== 0x2c) throw this.#unexpected('"," or "}"');
        this.#at++;
      }
    } catch (error) {
      throw error instanceof TranscodeError ? error.within(memberSegment(key)) : error;
    }
  }

  #list(): JsonValue[] {
    const list: JsonValue[] = [];
    this.#enter();
    try {
      if (this.#space() === 0x5d) return this.#leave(list);
      for (;;) {
        list.push(this.#value());
        const code = this.#space();
        if (code === 0x5d) return this.#leave(list);
        if (code !== 0x2c) throw this.#unexpected('"," or "]"');
        this.#at++;
      }
    } catch (error) {
      throw error instanceof TranscodeError ? error.within(`[${list.length}]`) : error;
    }
  }

  #enter(): void {
    if (++this.#depth > this.#maxDepth) {
      throw this.#error("TOO_DEEP", `the JSON text nests more than ${this.#maxDepth} levels deep`);
    }
    this.#at++;
  }

  #leave<T>(value: T): T {
    this.#depth--;
    this.#at++;
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected("a value");
    this.#at += word.length;
    return value;
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at + 1;
    for (let at = start; ; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return text.slice(start, at);
      }
      if (code === BACKSLASH) return this.#escapedString(start, at);
      // NaN, the end of the text, is not greater than anything either.
      if (!(code >= 0x20)) throw this.#badStringCharacter(at);
    }
  }

  #escapedString(start: number, firstEscape: number): string {
    const text = this.#text;
    let out = "";
    let from = start;
    for (let at = firstEscape; ; ) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return out + text.slice(from, at);
      }
      if (code === BACKSLASH) {
        out += text.slice(from, at);
        this.#at = at;
        out += this.#escape();
        at = this.#at;
        from = at;
      } else if (code >= 0x20) {
        at++;
      } else {
        throw this.#badStringCharacter(at);
      }
    }
  }

  #escape(): string {
    const code = this.#text.charCodeAt(this.#at + 1);
    if (code !== 0x75) {
      const escaped = escapedCharacters.get(code);
      if (escaped === undefined)
        throw this.#error("MALFORMED_JSON", "the string has an unknown escape after \\");
      this.#at += 2;
      return escaped;
    }
    const unit = this.#unicodeEscape(this.#at);
    if (unit < 0xd800 || unit > 0xdfff) {
      this.#at += 6;
      return String.fromCharCode(unit);
    }
    const next =
      unit < 0xdc00 && this.#text.startsWith("\\u", this.#at + 6) ? this.#unicodeEscape(this.#at + 6) : 0;
    if (next < 0xdc00 || next > 0xdfff) {
      throw this.#error("MALFORMED_JSON", "the string has half of a surrogate pair");
    }
    this.#at += 12;
    return String.fromCharCode(unit, next);
  }

  #unicodeEscape(at: number): number {
    let unit = 0;
    for (let index = at + 2; index < at + 6; index++) {
      const digit = hexDigit(this.#text.charCodeAt(index));
      if (digit < 0) {
        this.#at = at;
        throw this.#error("MALFORMED_JSON", "\\u must be followed by four hexadecimal digits");
      }
      unit = unit * 16 + digit;
    }
    return unit;
  }

  #number(): number | JsonNumber {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    let whole = 0;
    let code = text.charCodeAt(at);
    while (code >= ZERO && code <= NINE) {
      whole = whole * 10 + code - ZERO;
      code = text.charCodeAt(++at);
    }
    // One digit or up to 15 that do not begin with a zero: nearly all integers, and exact.
    const isShort =
      at - start === 1 || (at - start <= maxPlainNumberChars && text.charCodeAt(start) !== ZERO);
    if (at > start && isShort && code !== 0x2e && code !== 0x65 && code !== 0x45) {
      this.#at = at;
      return whole;
    }
    at = start;
    let plain = true;
    if (text.charCodeAt(at) === MINUS) at++;
    if (text.charCodeAt(at) === ZERO) at++;
    else at = this.#digits(at);
    if (text.charCodeAt(at) === 0x2e) {
      at = this.#digits(at + 1);
      plain = isShortest(text, start, at);
    }
    code = text.charCodeAt(at);
    if (code === 0x65 || code === 0x45) {
      const sign = text.charCodeAt(at + 1);
      at = this.#digits(sign === 0x2b || sign === MINUS ? at + 2 : at + 1);
      plain = false;
    }
    this.#at = at;
    const source = text.slice(start, at);
    if (plain && source.length <= maxPlainNumberChars) return Number(source);
    spend(this.#work, cost.treeNumber);
    return numberValue(source);
  }

  /** Skips one digit or more. */
  #digits(start: number): number {
    const text = this.#text;
    let at = start;
    let code = text.charCodeAt(at);
    while (code >= ZERO && code <= NINE) code = text.charCodeAt(++at);
    if (at === start) {
      this.#at = at;
      throw this.#unexpected("a digit");
    }
    return at;
  }

  #badStringCharacter(at: number): TranscodeError {
    this.#at = at;
    return at < this.#text.length
      ? this.#error("MALFORMED_JSON", "a control character in a string must be escaped")
      : this.#unexpected("the end of the string");
  }

  #unexpected(expected: string): TranscodeError {
    const point = this.#text.codePointAt(this.#at);
    const found = point === undefined ? "the end of the text" : JSON.stringify(String.fromCodePoint(point));
    return this.#error("MALFORMED_JSON", `found ${found}, expected ${expected}`);
  }

  #error(reason: "MALFORMED_JSON" | "DUPLICATE_KEY" | "TOO_DEEP", what: string): TranscodeError {
    const before = this.#text.slice(0, this.#at);
    const line = before.split("\n").length;
    const column = before.length - before.lastIndexOf("\n");
    return new TranscodeError(reason, "", `${what} (line ${line}, column ${column})`, undefined, {
      line,
      column,
    });
  }
}

/** True where a double prints the decimal as the same text: without zeros at its end and not below a millionth. */
function isShortest(text: string, start: number, end: number): boolean {
  if (text.charCodeAt(end - 1) === ZERO) return false;
  const first = text.charCodeAt(start) === MINUS ? start + 1 : start;
  return text.charCodeAt(first) !== ZERO || !text.startsWith("0.000000", first);
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function memberSegment(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(key) ? key : key === "" ? "" : keySegment(key);
}
