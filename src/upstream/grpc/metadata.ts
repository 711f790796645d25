import type { ByteWriter } from "../../h2/bytes.js";
import { encodedName, writeString } from "../../h2/hpack-encoder.js";
import { asBuffer } from "../../net/buffer.js";
import { ownHeaders } from "../../net/headers.js";
import type { Metadata } from "../channel.js";

/** Bytes of a header list, 32 added for each field as RFC 9113 §6.5.2 counts: of a request that we send, and of a response. */
export const maxHeaderList = 64 * 1024;

const legalName = /^[0-9a-z_.-]+$/;
const legalValue = /^[\x20-\x7e]*$/;

/** Names that the transport sets itself or that HTTP/2 forbids (RFC 9113 §8.2.2). */
export const ownNames: ReadonlySet<string> = new Set([
  ...ownHeaders,
  "__proto__",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-timeout",
]);

/**
 * Names that Node's HTTP/2 sends once only; it throws at a second value, and grpc-js then gives up the whole
 * connection with every other call on it.
 */
const singleNames: ReadonlySet<string> = new Set([
  "access-control-allow-credentials",
  "access-control-max-age",
  "access-control-request-method",
  "age",
  "authorization",
  "content-encoding",
  "content-language",
  "content-location",
  "content-md5",
  "content-range",
  "date",
  "dnt",
  "etag",
  "expires",
  "from",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "range",
  "referer",
  "retry-after",
  "tk",
  "upgrade-insecure-requests",
  "x-content-type-options",
]);

/** The error of an entry that cannot be sent. */
function illegalMetadata(name: string, why: string): Error {
  return new Error(`metadata ${JSON.stringify(name.slice(0, 64))} cannot be sent: ${why}`);
}

/** Names come from configuration, nearly all of them; those that callers make up must not pile up. */
const maxNames = 1024;
/** Characters of a value that is kept. */
const maxKeptValue = 128;

/** The properties of a legal name of metadata. */
interface MetadataName {
  readonly encoded: Buffer;
  readonly binary: boolean;
  readonly single: boolean;
  /** The text that was found legal last: many calls have the same. */
  legal: string;
}

/**
 * All connections share it. A call looks its names up twice, when it is checked and when it is written; clearing it
 * between costs time only.
 */
const names = new Map<string, MetadataName>();

/** @throws Error naming the entry that HTTP/2 cannot carry or that is reserved for the transport */
function metadataName(name: string): MetadataName {
  let known = names.get(name);
  if (known === undefined) {
    if (!legalName.test(name)) throw illegalMetadata(name, "the name has illegal characters");
    if (ownNames.has(name)) throw illegalMetadata(name, "the name belongs to the transport");
    known = {
      encoded: encodedName(name),
      binary: name.endsWith("-bin"),
      single: singleNames.has(name),
      legal: "",
    };
    if (names.size >= maxNames) names.clear();
    names.set(name, known);
  }
  return known;
}

/**
 * Checks the metadata of a request. Returns its size as RFC 9113 §6.5.2 counts.
 * @throws Error naming the entry that HTTP/2 cannot carry or that is the transport's own
 */
export function checkMetadata(metadata: Metadata): number {
  let size = 0;
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    const known = metadataName(name);
    const { binary, single } = known;
    if (single) refuseSecond(metadata, index, name);
    if (typeof value !== "string") {
      if (!binary) throw illegalMetadata(name, "expected text; bytes need a name that ends in -bin");
    } else {
      if (binary) throw illegalMetadata(name, "expected bytes");
      if (value !== known.legal) {
        if (!legalValue.test(value))
          throw illegalMetadata(name, "the value has characters other than printable ASCII");
        if (value.length <= maxKeptValue) known.legal = value;
      }
    }
    size += name.length + 32 + (typeof value === "string" ? value.length : Math.ceil((value.length * 4) / 3));
  }
  return size;
}

function refuseSecond(metadata: Metadata, index: number, name: string): void {
  for (let before = 0; before < index; before++)
    if (metadata[before]![0] === name) throw illegalMetadata(name, "only one value is allowed");
}

/** Writes metadata that was checked. */
export function writeMetadata(out: ByteWriter, metadata: Metadata): void {
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    out.append(metadataName(name).encoded);
    writeString(out, typeof value === "string" ? value : base64(value));
  }
}

/** Without padding, as the specification requires (gRPC over HTTP/2, Binary-Header). */
function base64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("base64").replace(/=+$/, "");
}
