import type { ForwardedName } from "../bindings/forwarded-name.js";
import type { HeaderList } from "../net/headers.js";
import type { InboundRequest } from "../server/inbound-request.js";
import type { Metadata } from "../upstream/channel.js";
import { addMetadata } from "./metadata.js";

/** The declared metadata of a response, headers before trailers, as response headers. */
export function responseHeaders(
  names: readonly ForwardedName[],
  headers: Metadata,
  trailers: Metadata,
): [string, string][] {
  const found: [string, string][] = [];
  addMetadata(found, headers, names);
  addMetadata(found, trailers, names);
  return found;
}

/**
 * The HTTP status of a success that the backend has set by metadata; undefined unless it is a valid one.
 * @param sources in which the name is looked up, in order
 */
export function successStatus(name: string, sources: readonly Metadata[]): number | undefined {
  for (const metadata of sources) {
    for (const [each, value] of metadata) {
      if (each === name && typeof value === "string" && /^2\d\d$/.test(value)) return Number(value);
    }
  }
  return undefined;
}

/**
 * Whether the client has the content already: If-None-Match holds the backend's entity tag, by weak comparison
 * (RFC 9110 §13.1.2). For GET and HEAD alone.
 * @param fields of the response
 */
export function isNotModified(request: InboundRequest, fields: HeaderList): boolean {
  if (fields.length === 0 || (request.method !== "GET" && request.method !== "HEAD")) return false;
  const condition = request.header("if-none-match");
  if (condition === undefined) return false;
  const tag = fields.find(([name]) => name === "etag")?.[1];
  if (tag === undefined) return false;
  if (condition.trim() === "*") return true;
  const opaque = tag.replace(/^W\//, "");
  return (condition.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? []).some(
    each => each.replace(/^W\//, "") === opaque,
  );
}
