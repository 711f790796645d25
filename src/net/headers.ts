/** Headers, trailers or metadata in the order in which they are sent, one entry a field line; names are in lower case. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** Names that belong to one connection (RFC 9110 §7.6.1), and that of trailers, which go no further. */
export const connectionHeaders: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Names of hop-by-hop headers that a Connection header lists, in lower case. */
export function connectionOptions(header: string): Set<string> {
  return new Set(header.split(",").map(option => option.trim().toLowerCase()));
}

/**
 * Names that belong to one connection, to gRPC's transport, or to the coding of a body that the
 * gateway rewrites. They never pass, in either direction.
 */
export const ownHeaders: ReadonlySet<string> = new Set([
  ...connectionHeaders,
  "accept-encoding",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "expect",
  "host",
  "user-agent",
]);

/** Response headers that the gateway decides alone. */
export const ownResponseHeaders: ReadonlySet<string> = new Set(["allow", "retry-after", "x-request-id"]);

/** Metadata that the gateway or gRPC writes into each call, and binary metadata: nothing else may set it. */
export function isReservedMetadata(name: string): boolean {
  return (
    ownHeaders.has(name) ||
    /^(grpc-|x-forwarded-)|-bin$/.test(name) ||
    ["x-request-id", "traceparent", "tracestate"].includes(name)
  );
}
