import type { RequestOrigins } from "../auth/request-origins.js";
import type { RpcBinding } from "../bindings/binding.js";
import { type ForwardedName, passes } from "../bindings/forwarded-name.js";
import { trustedAddresses, trustedHost, trustedScheme } from "../net/forwarded-list.js";
import type { HeaderList } from "../net/headers.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import { passedTrace } from "../telemetry/traceparent.js";
import type { Metadata } from "../upstream/channel.js";
import type { ReadonlyContext } from "./context.js";

/** The metadata of a request's call. @throws GatewayError INVALID_HEADER, CREDENTIALS_INVALID */
export function callMetadata(context: ReadonlyContext, binding: RpcBinding): Metadata {
  const { request, requestId, guardResult, routes, span } = context;
  const { route, dialect, ownHeader } = binding;
  const identity = guardResult?.identity;
  const { callerMetadata } = dialect;
  const caller =
    callerMetadata === undefined ? identity?.metadata : callerMetadata.entries(request, identity, requestId);
  return requestMetadata(
    request,
    route.policy.requestNames,
    caller,
    requestId,
    routes.origins,
    // Each attempt adds its own.
    span === undefined ? undefined : [],
    ownHeader,
  );
}

/**
 * The metadata of a call: the gateway's own entries, those of the caller's identity, and the declared request headers
 * with other names; cookies only where they count.
 * @param trace the trace that it is part of; undefined: the client's
 * @throws GatewayError INVALID_HEADER for a `-bin` header that is not base64 or a value that metadata cannot carry
 */
export function requestMetadata(
  request: InboundRequest,
  names: readonly ForwardedName[],
  caller: HeaderList | undefined,
  requestId: string,
  origins: RequestOrigins,
  trace: HeaderList | undefined,
  ownHeader: (name: string) => boolean = () => false,
): Metadata {
  const forwarded = forwardedOf(request, origins.trustedHops);
  const metadata: [string, string | Uint8Array][] = [
    ["x-request-id", requestId],
    ["x-forwarded-for", forwarded.for],
    ["x-forwarded-host", forwarded.host],
    ["x-forwarded-proto", forwarded.proto],
  ];
  if (trace === undefined) addClientTrace(metadata, request);
  else for (const entry of trace) metadata.push([...entry]);
  if (caller !== undefined) for (const entry of caller) metadata.push([...entry]);
  const own = metadata.length;
  let globs = false;
  for (const { name, binary, matches } of names) {
    if (matches !== undefined) {
      globs = true;
      continue;
    }
    const value = name === "cookie" ? origins.cookies(request) : request.header(name);
    if (value !== undefined) addHeader(metadata, own, name, binary, value);
  }
  if (globs) addMatching(metadata, own, request, names, ownHeader);
  return metadata;
}

function addClientTrace(metadata: [string, string | Uint8Array][], request: InboundRequest): void {
  const traceparent = request.header("traceparent");
  const trace = traceparent && passedTrace(traceparent, request.header("tracestate"));
  if (!trace) return;
  metadata.push(["traceparent", trace.traceparent]);
  if (trace.tracestate !== undefined) metadata.push(["tracestate", trace.tracestate]);
}

/** @param own how many entries are the gateway's own, which no header replaces */
function addHeader(
  metadata: [string, string | Uint8Array][],
  own: number,
  name: string,
  binary: boolean,
  value: string,
): void {
  for (let index = 0; index < own; index++) if (metadata[index]?.[0] === name) return;
  if (binary) {
    // Several binary values of one name arrive joined by commas (gRPC over HTTP/2, Custom-Metadata).
    for (const part of value.split(",")) metadata.push([name, decodeBase64(name, part.trim())]);
  } else {
    metadata.push([name, ascii(name, value)]);
  }
}

/** Adds all headers that globs take and that are not named, once. */
function addMatching(
  metadata: [string, string | Uint8Array][],
  own: number,
  request: InboundRequest,
  names: readonly ForwardedName[],
  ownHeader: (name: string) => boolean,
): void {
  for (const [name, value] of Object.entries(request.headers())) {
    if (names.some(each => each.name === name) || !passes(names, name) || ownHeader(name)) continue;
    addHeader(metadata, own, name, name.endsWith("-bin"), value);
  }
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
 * `x-forwarded-*` as sent to the backend. Without a trusted proxy in front, the client's values are replaced by those
 * of the socket; with `trustedHops` of them, their entries are kept and the peer is added.
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
