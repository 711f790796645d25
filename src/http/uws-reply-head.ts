import { STATUS_CODES } from "node:http";

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const COLON = 0x3a;
const DELETE = 0x7f;

/** Longest head whose bytes are handed out without making an object for that. */
const longestKept = 1024;

/**
 * Writes heads of replies, one after the other, as bytes: uWebSockets.js would write strings as UTF-8, but a field is
 * one byte a character. It takes a head in place of the status, without the last line end.
 */
export class ReplyHeadWriter {
  #bytes = Buffer.allocUnsafeSlow(4096);
  #length = 0;
  /** The beginning of `#bytes` by its length. */
  #views: Uint8Array[] = [];

  begin(status: number): void {
    this.#length = 0;
    this.#append(statusLine(status));
  }

  /** A field whose value a line cannot carry is left out (RFC 9110 §5.5). */
  field(name: string, value: string): void {
    const start = this.#length;
    const { length } = value;
    this.#reserve(name.length + length + 4);
    const bytes = this.#bytes;
    let at = start;
    bytes[at++] = CR;
    bytes[at++] = LF;
    for (let index = 0; index < name.length; index++) bytes[at++] = name.charCodeAt(index);
    bytes[at++] = COLON;
    bytes[at++] = SPACE;
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index);
      if ((code < SPACE && code !== TAB) || code === DELETE || code > 0xff) return;
      bytes[at++] = code;
    }
    this.#length = at;
  }

  /** The line end that uWebSockets.js leaves out where it is not told of a body. */
  lineEnd(): void {
    this.#append("\r\n");
  }

  /** The head, valid until the next is begun. */
  get bytes(): Uint8Array {
    const length = this.#length;
    if (length > longestKept) return this.#bytes.subarray(0, length);
    this.#views[length] ??= this.#bytes.subarray(0, length);
    return this.#views[length];
  }

  #append(text: string): void {
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index++) this.#bytes[this.#length++] = text.charCodeAt(index);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
    this.#views = [];
  }
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `${status} ${STATUS_CODES[status] ?? "unknown"}`;
    statusLines.set(status, line);
  }
  return line;
}
