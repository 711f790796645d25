import type { Steps } from "../net/pace.js";
import { gatewayError } from "../status/failure.js";

/** The head before the content of a part. */
export interface PartHead {
  /** The name of the form's field. */
  readonly name: string;
  /** Whether the part is a file: it has a file name. */
  readonly file: boolean;
  /** As it was written; empty where there is none. */
  readonly contentType: string;
}

/** Takes the parts of a body, in their order. */
export interface PartConsumer {
  begin(head: PartHead): void;
  /** @param chunk a piece of the content, not empty */
  data(chunk: Buffer): void;
  /** @returns units of work that the content took (net/pace.ts) */
  end(): number;
}

/** Bytes of the head of one part. */
const maxHeadBytes = 8192;
/** Characters of the name of a field. */
const maxNameChars = 256;
/** Spaces behind a boundary (RFC 2046 §5.1.1). */
const maxPadding = 64;

/** Bytes that are looked through in one step. */
const maxStepBytes = 256 * 1024;
/** Units of work (net/pace.ts) of a boundary or a head, and bytes that one unit looks through. */
const unitsPerElement = 4;
export const bytesPerUnit = 1000;

/**
 * The boundary of a multipart/form-data body (RFC 7578 §4.1).
 * @throws GatewayError MALFORMED_FORM where the content type has none, or none that is valid
 */
export function boundaryOf(contentType: string): string {
  const found = parameterOf(contentType, "boundary");
  if (found !== undefined && /^[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]$/.test(found))
    return found;
  throw malformed('expected content-type multipart/form-data with a valid "boundary"');
}

/**
 * Parses a multipart/form-data body (RFC 7578) as it comes. It is strict: anything ambiguous or
 * ignored is an error. It keeps only the head of a part and the possible beginning of a boundary.
 */
export class MultipartParser {
  readonly #delimiter: Buffer;
  readonly #consumer: PartConsumer;
  readonly #maxParts: number;
  #state: "start" | "head" | "content" | "delimiter" | "end" = "start";
  #rest: Buffer = Buffer.alloc(0);
  #parts = 0;
  /** Of the part that is read, for errors. */
  #name = "";
  /** Units that the consumer took. */
  #spent = 0;

  constructor(boundary: string, maxParts: number, consumer: PartConsumer) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
    this.#maxParts = maxParts;
    this.#consumer = consumer;
  }

  /**
   * Reads a piece of the body, in steps that are small for any content.
   * @throws GatewayError MALFORMED_FORM, BODY_TOO_LARGE, and errors of the consumer
   */
  *read(chunk: Buffer): Steps {
    for (let at = 0; at < chunk.length; at += maxStepBytes) {
      const piece = chunk.subarray(at, at + maxStepBytes);
      let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
      for (let next: Buffer | undefined = bytes; next !== undefined; ) {
        bytes = next;
        next = this.#step(bytes);
        yield unitsPerElement + this.#spent;
        this.#spent = 0;
      }
      this.#rest = this.#state === "content" ? this.#giveContent(bytes) : bytes;
      yield piece.length / bytesPerUnit;
    }
  }

  /** The body is complete. @throws GatewayError MALFORMED_FORM */
  end(): void {
    if (this.#state === "end") return;
    const where = this.#state === "content" ? ` in the middle of part "${this.#name}"` : "";
    throw malformed(`the form ends${where} without its final boundary`);
  }

  /** Takes one element off the beginning. @returns the rest; undefined where more has to come first */
  #step(bytes: Buffer): Buffer | undefined {
    switch (this.#state) {
      case "start":
        return this.#start(bytes);
      case "head":
        return this.#head(bytes);
      case "content":
        return this.#content(bytes);
      case "delimiter":
        return this.#behindDelimiter(bytes);
      case "end":
        if (bytes.length > 2 || !"\r\n".startsWith(bytes.toString("latin1")))
          throw malformed("bytes follow the final boundary of the form");
        return undefined;
    }
  }

  /** The first delimiter may, but need not have a line end before it. */
  #start(bytes: Buffer): Buffer | undefined {
    const expected = bytes[0] === 13 ? this.#delimiter : this.#delimiter.subarray(2);
    const found = bytes.subarray(0, expected.length);
    if (!expected.subarray(0, found.length).equals(found)) {
      throw malformed(
        `the form does not begin with its boundary; expected "${this.#delimiter.toString("latin1", 2)}" as content-type says`,
      );
    }
    if (found.length < expected.length) return undefined;
    this.#state = "delimiter";
    return bytes.subarray(expected.length);
  }

  #behindDelimiter(bytes: Buffer): Buffer | undefined {
    let at = 0;
    while (at < bytes.length && at <= maxPadding && (bytes[at] === 32 || bytes[at] === 9)) at += 1;
    if (at + 2 > bytes.length && at <= maxPadding) return undefined;
    const two = bytes.toString("latin1", at, at + 2);
    if (two === "\r\n") {
      this.#parts += 1;
      if (this.#parts > this.#maxParts)
        throw gatewayError("BODY_TOO_LARGE", `the form is limited to ${this.#maxParts} parts`);
      this.#state = "head";
    } else if (two === "--" && at === 0) {
      this.#state = "end";
    } else {
      throw malformed(`a boundary of the form is followed by neither a line end nor "--"`);
    }
    return bytes.subarray(at + 2);
  }

  #head(bytes: Buffer): Buffer | undefined {
    const end = bytes.indexOf("\r\n\r\n");
    if (end > maxHeadBytes || (end < 0 && bytes.length > maxHeadBytes + 4)) {
      throw malformed(`the headers of part ${this.#parts} are limited to ${maxHeadBytes} bytes`);
    }
    if (end < 0 && !bytes.subarray(0, 2).equals(lineEnd)) return undefined;
    const head = partHead(end < 0 ? Buffer.alloc(0) : bytes.subarray(0, end), this.#parts);
    this.#name = head.name;
    this.#consumer.begin(head);
    this.#state = "content";
    // The line end before the delimiter may be that of the head, where there is no content.
    return bytes.subarray(end + 2);
  }

  /** The first time the content still has the line end of the head before it. */
  #content(bytes: Buffer): Buffer | undefined {
    const at = bytes.indexOf(this.#delimiter);
    if (at < 0) return undefined;
    this.#give(bytes, at);
    this.#began = false;
    this.#spent = this.#consumer.end();
    this.#state = "delimiter";
    return bytes.subarray(at + this.#delimiter.length);
  }

  #began = false;

  #give(bytes: Buffer, end: number): void {
    let start = 0;
    if (!this.#began && end > 0) {
      this.#began = true;
      start = 2;
    }
    if (end > start) this.#consumer.data(bytes.subarray(start, end));
  }

  /** Passes on the bytes that cannot be the beginning of a delimiter. @returns the others */
  #giveContent(bytes: Buffer): Buffer {
    const mayBegin = Math.max(0, bytes.length - this.#delimiter.length + 1);
    const cr = bytes.indexOf(13, mayBegin);
    const end = cr < 0 ? bytes.length : cr;
    // The line end of the head is passed on with the bytes after it.
    if (!this.#began && end <= 2) return bytes;
    this.#give(bytes, end);
    return bytes.subarray(end);
  }
}

const lineEnd = Buffer.from("\r\n");

/** @param index of the part, from 1 */
function partHead(bytes: Buffer, index: number): PartHead {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw malformed(`the headers of part ${index} are not UTF-8`);
  }
  const headers = new Map<string, string>();
  for (const line of text === "" ? [] : text.split("\r\n")) {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined || hasControls(value))
      throw malformed(`a header of part ${index} is not valid`);
    const key = name.toLowerCase();
    if (headers.has(key)) throw malformed(`part ${index} has two ${key} headers`);
    headers.set(key, value);
  }
  const disposition = headers.get("content-disposition") ?? "";
  const name = parameterOf(disposition, "name");
  if (!/^form-data[ \t]*(;|$)/i.test(disposition) || name === undefined)
    throw malformed(`part ${index} has no name; expected content-disposition: form-data; name="field"`);
  if (name.length > maxNameChars)
    throw malformed(
      `the name of part ${index} has ${name.length} characters, at most ${maxNameChars} are allowed`,
    );
  const encoding = headers.get("content-transfer-encoding") ?? "binary";
  if (!/^(7bit|8bit|binary)$/i.test(encoding))
    throw malformed(`part "${name}" has a content-transfer-encoding; send its bytes as they are`);
  return {
    name,
    file:
      parameterOf(disposition, "filename") !== undefined ||
      parameterOf(disposition, "filename*") !== undefined,
    contentType: headers.get("content-type") ?? "",
  };
}

/**
 * The value of a parameter of a header, without quotes; undefined where it is missing.
 * @throws GatewayError MALFORMED_FORM where it occurs twice, or the parameters cannot be read
 */
function parameterOf(header: string, name: string): string | undefined {
  let found: string | undefined;
  const rest = header.replace(/^[^;]*/, "");
  let end = 0;
  for (const match of rest.matchAll(parameter)) {
    if (match.index !== end) break;
    end += match[0].length;
    if ((match[1] as string).toLowerCase() !== name) continue;
    if (found !== undefined) throw malformed(`a header gives "${name}" twice`);
    // Browsers write quotes and line ends in names as %22, %0D and %0A, other clients quotes as \".
    found = match[3] ?? (match[2] as string).replaceAll(/\\(["\\])/g, "$1");
  }
  if (rest.slice(end).trim() !== "" && rest.slice(end).trim() !== ";")
    throw malformed("the parameters of a header of the form cannot be read");
  return found;
}

const parameter = /[ \t]*;[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))/g;

function hasControls(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(text);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws GatewayError MALFORMED_FORM */
export function textOfPart(name: string, bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed(`part "${name}" is not text in UTF-8`);
  }
}

export function malformed(message: string): Error {
  return gatewayError("MALFORMED_FORM", message);
}
