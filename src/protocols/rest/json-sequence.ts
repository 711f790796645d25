import { type GatewayError, gatewayError } from "../../status/failure.js";

/** Positions of the values of a body. */
export type SequenceForm = "array" | "lines" | "either";

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const lineFeed = 0x0a;

type State =
  /** Nothing has come but white space. */
  | "start"
  /** A value has to come; in an array behind a comma. */
  | "value"
  /** The first value of an array, or its end. */
  | "first"
  /** Within a value. */
  | "inside"
  /** Behind a value of an array. */
  | "behind"
  /** Behind the end of an array. */
  | "done";

/**
 * Splits a body that comes in pieces into JSON values, without parsing them: the elements of an array, or values one
 * after the other, each on a line of its own or next to each other (NDJSON, JSON lines). The separators are
 * checked here, the values themselves when they are parsed.
 */
export class JsonSequence {
  readonly #form: SequenceForm;
  readonly #maxBytes: number;
  #state: State = "start";
  #array = false;
  /** Brackets and braces that are open in the value. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** The value ends at white space, a comma or a bracket: a number or a literal. */
  #bare = false;
  #pieces: Uint8Array[] = [];
  #size = 0;
  /** Values that are complete. */
  #count = 0;

  /** @param maxBytes of one value */
  constructor(form: SequenceForm, maxBytes: number) {
    this.#form = form;
    this.#maxBytes = maxBytes;
  }

  /** Values that were complete so far. */
  get count(): number {
    return this.#count;
  }

  /**
   * The values that end in this piece of the body, in order.
   * @throws GatewayError MALFORMED_JSON, BODY_TOO_LARGE
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.#inString && !this.#escaped) at = plainEnd(chunk, at);
      if (at === chunk.length) break;
      const code = chunk[at] as number;
      if (this.#state === "inside") {
        const ends = this.#advance(code);
        if (ends === "no") continue;
        const to = ends === "with" ? at + 1 : at;
        this.#keep(chunk.subarray(start, to));
        this.#state = this.#array ? "behind" : "value";
        yield this.#take();
        if (ends === "with") continue;
      }
      if (this.#between(code)) start = at;
    }
    if (this.#state === "inside") this.#keep(chunk.subarray(start));
  }

  /** The last value, where only the end of the body ends it. @throws GatewayError MALFORMED_JSON */
  *end(): Generator<Uint8Array> {
    if (this.#state === "inside") {
      if (this.#array || !this.#bare) throw this.#malformed("the body ends within a value");
      yield this.#take();
    } else if (this.#array && this.#state !== "done") {
      throw this.#malformed("the body ends before the array does");
    }
  }

  /** Takes a byte between values. @returns whether a value begins with it */
  #between(code: number): boolean {
    if (code === 0x20 || code === lineFeed || code === 0x0d || code === 0x09) return false;
    switch (this.#state) {
      case "start":
        if (code === openBracket && this.#form !== "lines") {
          this.#array = true;
          this.#state = "first";
          return false;
        }
        if (this.#form === "array") throw this.#malformed("expected an array of messages");
        return this.#begin(code);
      case "first":
        if (code === closeBracket) {
          this.#state = "done";
          return false;
        }
        return this.#begin(code);
      case "behind":
        if (code === comma) this.#state = "value";
        else if (code === closeBracket) this.#state = "done";
        else throw this.#malformed('expected "," or "]" behind a message');
        return false;
      case "done":
        throw this.#malformed("expected nothing after the array");
      default:
        return this.#begin(code);
    }
  }

  #begin(code: number): true {
    if (code === comma || code === closeBracket || code === closeBrace)
      throw this.#malformed(`expected a message, found "${String.fromCharCode(code)}"`);
    this.#state = "inside";
    this.#inString = code === quote;
    this.#escaped = false;
    this.#depth = code === openBrace || code === openBracket ? 1 : 0;
    this.#bare = this.#depth === 0 && !this.#inString;
    return true;
  }

  /** @returns whether the value ends: with this byte, before it, or not */
  #advance(code: number): "with" | "before" | "no" {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (code === backslash) this.#escaped = true;
      else if (code === quote) {
        this.#inString = false;
        if (this.#depth === 0) return "with";
      }
      return "no";
    }
    if (this.#bare) {
      const ends =
        code === comma ||
        code === closeBracket ||
        code === 0x20 ||
        code === lineFeed ||
        code === 0x0d ||
        code === 0x09;
      return ends ? "before" : "no";
    }
    if (code === quote) this.#inString = true;
    else if (code === openBrace || code === openBracket) this.#depth++;
    else if ((code === closeBrace || code === closeBracket) && --this.#depth === 0) return "with";
    return "no";
  }

  #keep(piece: Uint8Array): void {
    this.#size += piece.length;
    if (this.#size > this.#maxBytes)
      throw gatewayError(
        "BODY_TOO_LARGE",
        `message ${this.#count + 1} of the body: a message is limited to ${this.#maxBytes} bytes`,
      );
    if (piece.length > 0) this.#pieces.push(piece);
  }

  #take(): Uint8Array {
    const [only] = this.#pieces;
    const value = this.#pieces.length === 1 ? (only as Uint8Array) : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#size = 0;
    this.#count++;
    return value;
  }

  #malformed(what: string): GatewayError {
    return gatewayError("MALFORMED_JSON", `${what} (after ${this.#count} messages of the body)`);
  }
}

/** Where something comes that is more than a character of a string: its end, or an escape. */
function plainEnd(chunk: Uint8Array, from: number): number {
  let at = from;
  while (at < chunk.length && chunk[at] !== quote && chunk[at] !== backslash) at++;
  return at;
}
