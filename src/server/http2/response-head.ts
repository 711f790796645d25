import { ByteWriter, copyOf } from "../../h2/bytes.js";
import type { FrameWriter } from "../../h2/frame-writer.js";
import {
  encodedName,
  indexedField,
  noTable,
  writeIndexedName,
  writeInteger,
  writeString,
} from "../../h2/hpack-encoder.js";
import { isLegalName } from "../../h2/hpack-table.js";
import type { HeaderList } from "../../net/headers.js";
import { isHeaderValue } from "../response-writer.js";
import { requestFields } from "./header-block.js";

/** Indexes of RFC 7541 Appendix A. */
const Static = { Status: 8, ContentLength: 28, Date: 33 } as const;

/** Those of the static table, where a name has several entries the first. */
const staticNames = new Map<string, number>();
for (const [index, { name }] of requestFields.staticTable.entries())
  if (!staticNames.has(name)) staticNames.set(name, index + 1);

const staticStatuses: ReadonlyMap<number, number> = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);

/** Names come from configuration and backends; those that backends make up must not pile up. */
const maxNames = 1024;
/** Characters of a value that is kept. */
const maxKeptValue = 128;

/** The properties of the name of a response header. */
interface ResponseName {
  /** Undefined where HTTP/2 has no such field: it is left out. */
  readonly encoded: Buffer | undefined;
  /** The value that came last. */
  last: string;
  /** The whole field, where a value has come twice in a row. */
  field: Buffer | undefined;
}

const names = new Map<string, ResponseName>();

function responseName(name: string): ResponseName {
  let known = names.get(name);
  if (known === undefined) {
    known = { encoded: isLegalName(name) ? nameOf(name) : undefined, last: "", field: undefined };
    if (names.size >= maxNames) names.clear();
    names.set(name, known);
  }
  return known;
}

function nameOf(name: string): Buffer {
  const index = staticNames.get(name);
  if (index === undefined) return encodedName(name);
  const out = new ByteWriter(8);
  writeInteger(out, 4, 0, index);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

/** The parts of a response head beside its headers. */
export interface HeadExtent {
  /** Bytes of the body, for a `content-length`; undefined: none is added. */
  readonly length: number | undefined;
  /** It is the first block of the connection. */
  readonly first: boolean;
}

/**
 * Writes the header block of a response. Headers that HTTP/2 does not carry are left out: names that belong to a
 * connection, and illegal values.
 */
export function writeResponseHead(
  out: FrameWriter,
  stream: number,
  status: number,
  headers: HeaderList,
  { length, first }: HeadExtent,
  flags: number,
  maxFrame: number,
): void {
  const start = out.beginHeaders();
  writeStatus(out, status, first);
  let dated = false;
  for (let index = 0; index < headers.length; index++) {
    const field = headers[index]!;
    if (field[0] === "date") dated = true;
    writeField(out, field[0], field[1]);
  }
  if (length !== undefined) writeIndexedName(out, Static.ContentLength, String(length));
  if (!dated) writeIndexedName(out, Static.Date, date());
  out.endHeaders(start, stream, flags, maxFrame);
}

/** `100 Continue` */
export function writeContinue(out: FrameWriter, stream: number, first: boolean, maxFrame: number): void {
  const start = out.beginHeaders();
  writeStatus(out, 100, first);
  out.endHeaders(start, stream, 0, maxFrame);
}

/** @param flags END_STREAM */
export function writeTrailers(
  out: FrameWriter,
  stream: number,
  trailers: HeaderList,
  flags: number,
  maxFrame: number,
): void {
  const start = out.beginHeaders();
  for (const [name, value] of trailers) writeField(out, name, value);
  out.endHeaders(start, stream, flags, maxFrame);
}

function writeStatus(out: FrameWriter, status: number, first: boolean): void {
  if (first) out.append(noTable);
  const known = staticStatuses.get(status);
  if (known === undefined) {
    writeIndexedName(out, Static.Status, String(status));
  } else {
    out.reserve(1);
    out.bytes[out.length++] = indexedField(known);
  }
}

function writeField(out: FrameWriter, name: string, value: string): void {
  const known = responseName(name);
  const { encoded } = known;
  if (encoded === undefined) return;
  if (known.last === value && known.field !== undefined) {
    out.append(known.field);
    return;
  }
  if (!isHeaderValue(value)) return;
  const start = out.length;
  out.append(encoded);
  writeString(out, value.trim());
  if (value.length > maxKeptValue) return;
  known.field = known.last === value ? copyOf(out.bytes, start, out.length) : undefined;
  known.last = value;
}

let second = 0;
let dateText = "";

/** The time as in a Date header (RFC 9110 §6.6.1). */
function date(): string {
  const now = Date.now();
  if (now < second || now >= second + 1000) {
    second = now - (now % 1000);
    dateText = new Date(now).toUTCString();
  }
  return dateText;
}
