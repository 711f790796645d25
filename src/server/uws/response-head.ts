import { STATUS_CODES } from "node:http";

const tab = 0x09;
const space = 0x20;
const del = 0x7f;

/** Writes heads of responses, one after the other, in the form that uWebSockets.js takes: as the status. */
export class ResponseHeadWriter {
  #text = "";
  #wide = false;

  begin(status: number): void {
    this.#text = statusLine(status);
    this.#wide = false;
  }

  /** A field whose value a line cannot carry is left out (RFC 9110 §5.5). */
  field(name: string, value: string): void {
    let wide = false;
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index);
      if ((code < space && code !== tab) || code === del || code > 0xff) return;
      if (code > del) wide = true;
    }
    if (wide) this.#wide = true;
    this.#text += `\r\n${name}: ${value}`;
  }

  /** The line end that uWebSockets.js leaves out where no body is announced. */
  lineEnd(): void {
    this.#text += "\r\n";
  }

  /** uWebSockets.js writes strings as UTF-8; fields are one byte a character. */
  get head(): string | Uint8Array {
    return this.#wide ? Buffer.from(this.#text, "latin1") : this.#text;
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
