/**
 * Names that belong to one connection (RFC 9110 §7.6.1), to gRPC's transport, or to the coding of a body that the
 * gateway rewrites. They never pass, in either direction.
 */
export const ownHeaders: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
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
