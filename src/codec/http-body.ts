import type { MessageType } from "../descriptors/model.js";
import { LENGTH, tagOf } from "../wire/wire-type.js";
import type { Writer } from "./json-to-wire/writer.js";
import { Reader } from "./wire-to-json/reader.js";

/** Field numbers of `google.api.HttpBody` (`google/api/httpbody.proto`). */
const contentTypeNumber = 1;
const dataNumber = 2;

const groupDepth = 100;

export interface RawBody {
  readonly contentType: string;
  readonly body: Uint8Array;
}

export function isHttpBody(type: MessageType | undefined): boolean {
  return type?.fullName === "google.api.HttpBody";
}

/**
 * Writes raw bytes as an HttpBody.
 * @param number the field of the request that holds it; undefined where the request is an HttpBody itself
 */
export function writeHttpBody(
  writer: Writer,
  number: number | undefined,
  contentType: string,
  data: Uint8Array,
): void {
  let start: number | undefined;
  if (number !== undefined) {
    writer.uint32(tagOf(number, LENGTH));
    start = writer.begin();
  }
  if (contentType !== "") {
    writer.uint32(tagOf(contentTypeNumber, LENGTH));
    writer.string(contentType);
  }
  if (data.length > 0) {
    writer.uint32(tagOf(dataNumber, LENGTH));
    writer.bytes(data);
  }
  if (start !== undefined) writer.end(start);
}

/**
 * Reads an HttpBody.
 * @param number the field of the message that holds it; undefined where the message is an HttpBody itself
 * @throws TranscodeError MALFORMED_MESSAGE
 */
export function readHttpBody(message: Uint8Array, number?: number): RawBody {
  const found: { contentType: string; body: Uint8Array } = { contentType: "", body: new Uint8Array(0) };
  if (number === undefined) merge(message, found);
  else for (const part of fieldsOf(message, number)) merge(part, found);
  // Without a type the bytes must not be sniffed into something that a browser runs.
  return found.contentType === "" ? { ...found, contentType: "application/octet-stream" } : found;
}

function merge(message: Uint8Array, into: { contentType: string; body: Uint8Array }): void {
  const contentType = fieldsOf(message, contentTypeNumber).at(-1);
  const data = fieldsOf(message, dataNumber).at(-1);
  if (contentType !== undefined) into.contentType = headerValue(Buffer.from(contentType).toString("utf8"));
  if (data !== undefined) into.body = data;
}

/** A content type that could end the header line is no content type. */
function headerValue(text: string): string {
  return /^[\x20-\x7e]{1,256}$/.test(text) ? text : "";
}

function fieldsOf(message: Uint8Array, number: number): Uint8Array[] {
  const reader = new Reader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < message.length) {
    const tag = reader.tag();
    if (tag >>> 3 === number && (tag & 7) === LENGTH) {
      const end = reader.span();
      found.push(message.subarray(reader.pos, end));
      reader.pos = end;
    } else {
      reader.skip(tag, groupDepth);
    }
  }
  return found;
}
