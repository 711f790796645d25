import type { RequestOrigins } from "../auth/request-origins.js";
import type { ForwardedName } from "../bindings/forwarded-name.js";
import type { CallerMetadataEntries } from "../dialects/dialect.js";
import { trustedAddresses, trustedHost, trustedScheme } from "../net/forwarded-list.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { isHeaderValue } from "../server/response-writer.js";
import { gatewayError } from "../status/failure.js";
import { passedTrace } from "../telemetry/traceparent.js";
import type { Metadata } from "../upstream/channel.js";

/**
 * The metadata of a call: the gateway's own entries, what is known of the caller, and the declared request headers
 * that are none of these; cookies only where they count.
 * @throws GatewayError INVALID_HEADER for a `-bin` header that is not base64 or a value that metadata cannot carry
 */
export function requestMetadata(
  request: InboundRequest,
  names: readonly ForwardedName[],
  caller: CallerMetadataEntries | undefined,
  requestId: string,
  origins: RequestOrigins,
): Metadata {
  const forwarded = forwardedOf(request, origins.trustedHops);
  const metadata: [string, string | Uint8Array][] = [
    ["x-request-id", requestId],
    ["x-forwarded-for", forwarded.for],
    ["x-forwarded-host", forwarded.host],
    ["x-forwarded-proto", forwarded.proto],
  ];
  const traceparent = request.header("traceparent");
  const trace = traceparent && passedTrace(traceparent, request.header("tracestate"));
  if (trace) {
    metadata.push(["traceparent", trace.traceparent]);
    if (trace.tracestate !== undefined) metadata.push(["tracestate", trace.tracestate]);
  }
  if (caller !== undefined) for (const entry of caller) metadata.push([...entry]);
  const own = metadata.length;
  for (const { name, binary } of names) {
    const value = name === "cookie" ? origins.cookies(request) : request.header(name);
    if (value === undefined) continue;
    if (metadata.some(([sent], index) => index < own && sent === name)) continue;
    if (binary) {
      // Several binary values of one name arrive joined by commas (gRPC over HTTP/2, Custom-Metadata).
      for (const part of value.split(",")) metadata.push([name, decodeBase64(name, part.trim())]);
    } else {
      metadata.push([name, ascii(name, value)]);
    }
  }
  return metadata;
}

/** The declared metadata of an answer, headers before trailers, as response headers. */
export function responseHeaders(
  names: readonly ForwardedName[],
  headers: Metadata,
  trailers: Metadata,
): [string, string][] {
  const found: [string, string][] = [];
  if (names.length === 0) return found;
  for (const [name, value] of [...headers, ...trailers]) {
    if (!names.some(declared => declared.name === name)) continue;
    const text = typeof value === "string" ? value : Buffer.from(value).toString("base64");
    // A backend cannot be trusted to keep to the characters that a header line may have.
    if (isHeaderValue(text)) found.push([name, text]);
  }
  return found;
}

function decodeBase64(name: string, text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) {
    throw gatewayError("INVALID_HEADER", `header "${name}" must be base64`);
  }
  return Buffer.from(text, "base64");
}

function ascii(name: string, value: string): string {
  if (/^[\x20-\x7e]*$/.test(value)) return value;
  const message = `header "${name}" must be printable ASCII to be forwarded; use a "-bin" header for other bytes`;
  throw gatewayError("INVALID_HEADER", message);
}

/** How the client reached the gateway, for the backend. */
interface Forwarded {
  readonly for: string;
  readonly host: string;
  readonly proto: string;
}

/**
 * `x-forwarded-*` as sent to the backend. With no trusted proxy in front, what a client claims is replaced by what the
 * socket says; with `trustedHops` of them, their entries are kept and the peer is added.
 */
function forwardedOf(request: InboundRequest, trustedHops: number): Forwarded {
  const proto = request.encrypted ? "https" : "http";
  const host = request.header("host") ?? "";
  if (trustedHops === 0) return { for: request.remoteAddress, host, proto };
  const addresses = trustedAddresses(request.header("x-forwarded-for"), trustedHops);
  return {
    for: [...addresses, request.remoteAddress].join(", "),
    host: trustedHost(request.header("x-forwarded-host"), trustedHops) ?? host,
    proto: trustedScheme(request.header("x-forwarded-proto"), trustedHops) ?? proto,
  };
}
