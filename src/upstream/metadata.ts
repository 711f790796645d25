import { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { ownHeaders } from "../config/own-header.js";
import type { Metadata } from "./channel.js";

export const legalName = /^[0-9a-z_.-]+$/;
export const legalValue = /^[\x20-\x7e]*$/;

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
export const singleNames: ReadonlySet<string> = new Set([
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

/** @throws Error naming the entry that HTTP/2 cannot carry or that is the transport's own */
export function toGrpcMetadata(metadata: Metadata): GrpcMetadata {
  const result = new GrpcMetadata();
  for (const [name, value] of metadata) {
    if (!legalName.test(name)) throw illegalMetadata(name, "the name has illegal characters");
    if (ownNames.has(name)) throw illegalMetadata(name, "the name belongs to the transport");
    if (singleNames.has(name) && result.get(name).length > 0)
      throw illegalMetadata(name, "only one value is allowed");
    if (name.endsWith("-bin")) {
      if (typeof value === "string") throw illegalMetadata(name, "expected bytes");
      result.add(name, asBuffer(value));
    } else {
      if (typeof value !== "string")
        throw illegalMetadata(name, "expected text; bytes need a name that ends in -bin");
      if (!legalValue.test(value))
        throw illegalMetadata(name, "the value has characters other than printable ASCII");
      result.add(name, value);
    }
  }
  return result;
}

/** The error of an entry that cannot be sent. */
export function illegalMetadata(name: string, why: string): Error {
  return new Error(`metadata ${JSON.stringify(name.slice(0, 64))} cannot be sent: ${why}`);
}

/** The same bytes as a Buffer, not copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export const noMetadata: Metadata = [];

/** What the upstream sent, without the entries that concern only the transport. */
export function fromGrpcMetadata(metadata: GrpcMetadata): Metadata {
  const result: [string, string | Uint8Array][] = [];
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    if (ownNames.has(name)) continue;
    for (const value of values) result.push([name, value]);
  }
  return result;
}

/** The first text value of a name. */
export function metadataText(metadata: Metadata, name: string): string | undefined {
  for (const [entry, value] of metadata) if (entry === name && typeof value === "string") return value;
  return undefined;
}
