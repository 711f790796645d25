import type { PassThroughBinding, RpcBinding } from "../bindings/binding.js";
import { Code, codeName } from "../status/code.js";
import type { Failure } from "../status/failure.js";
import { type Span, SpanKind } from "../telemetry/tracing/span.js";
import { type AttemptTrace, type CallStatus, type CallTrace, noMetadata } from "../upstream/channel.js";
import type { CalledEndpoint, ReadonlyContext } from "./context.js";

/**
 * Spans of a request, by the semantic conventions of OpenTelemetry (https://opentelemetry.io/docs/specs/semconv: HTTP and
 * RPC). A context has a span only where its trace is recorded.
 */

/** Ends the span of a request. A fault of the gateway or of a backend is an error of it, one of the client is not. */
export function endServerSpan(
  span: Span,
  { request, binding, requestId, protocol, requestBytes, responseBytes }: ReadonlyContext,
  status: number,
  failure: Failure | undefined,
): void {
  const route = binding?.template.text;
  span.name = route === undefined ? request.method : `${request.method} ${route}`;
  span.set("http.request.method", request.method);
  span.set("http.route", route);
  span.set("url.path", request.path);
  span.set("url.scheme", request.encrypted ? "https" : "http");
  setAddress(span, request.header("host") ?? "");
  span.set("client.address", request.remoteAddress);
  span.set("http.response.status_code", status);
  span.set("http.request.body.size", requestBytes);
  span.set("http.response.body.size", responseBytes);
  span.set("protogate.request_id", requestId);
  if (protocol !== undefined) span.set("protogate.protocol", protocol.name);
  if (binding?.kind === "rpc") {
    setMethod(span, binding.route.rpc.path);
    span.set("rpc.grpc.status_code", failure?.code ?? Code.OK);
  }
  if (status >= 500) span.fail(failure?.reason ?? String(status), failure?.message);
  else if (failure !== undefined) span.set("protogate.reason", failure.reason);
  span.end();
}

/** The attempts of a request's call, each with a span of its own; undefined where nobody wants to know of them. */
export function callTrace({ span, endpoint }: ReadonlyContext, binding: RpcBinding): CallTrace | undefined {
  const { rpc, upstream } = binding.route;
  const spans = span && attemptsOf(span, rpc.path, upstream);
  return endpoint === undefined ? spans : noting(endpoint, spans);
}

function noting(endpoint: CalledEndpoint, spans: CallTrace | undefined): CallTrace {
  return {
    attempt: (address, number): AttemptTrace => {
      endpoint.address = address;
      return spans?.attempt(address, number) ?? unrecorded;
    },
  };
}

const unrecorded: AttemptTrace = { metadata: noMetadata, ended: () => undefined };

/** Attempts as children of a span. @param path `/package.Service/Method` */
export function attemptsOf(parent: Span, path: string, upstream: string): CallTrace {
  return {
    attempt: (endpoint, number): AttemptTrace => {
      const span = parent.child(path.slice(1), SpanKind.Client);
      span.set("rpc.system", "grpc");
      setMethod(span, path);
      setAddress(span, endpoint);
      span.set("protogate.upstream", upstream);
      span.set("protogate.attempt", number);
      return { metadata: span.headers(), ended: status => endAttempt(span, status) };
    },
  };
}

/** The span of a request to an HTTP backend. */
export function forwardingSpan(
  { span, request }: ReadonlyContext,
  { upstream }: PassThroughBinding,
): Span | undefined {
  const forwarding = span?.child(request.method, SpanKind.Client);
  forwarding?.set("http.request.method", request.method);
  forwarding?.set("protogate.upstream", upstream);
  return forwarding;
}

/** A request is about to go to this origin (`http://host:port`) of its upstream. */
export function noteOrigin({ endpoint }: ReadonlyContext, span: Span | undefined, origin: string): void {
  if (endpoint === undefined && span === undefined) return;
  const { host } = new URL(origin);
  if (endpoint !== undefined) endpoint.address = host;
  if (span !== undefined) setAddress(span, host);
}

/** The backend has answered; its body is still to come. */
export function endForwarding(span: Span | undefined, status: number): void {
  if (span === undefined) return;
  span.set("http.response.status_code", status);
  if (status >= 400) span.fail(String(status));
  span.end();
}

function endAttempt(span: Span, { code, message, origin, backendCode }: CallStatus): void {
  span.set("rpc.grpc.status_code", code);
  span.set("protogate.backend_code", backendCode);
  if (code !== Code.OK)
    span.fail(origin === "backend" ? codeName(code) : (origin ?? codeName(code)), message);
  span.end();
}

function setMethod(span: Span, path: string): void {
  const slash = path.lastIndexOf("/");
  span.set("rpc.service", path.slice(1, slash));
  span.set("rpc.method", path.slice(slash + 1));
}

/** @param endpoint `host:port`, a host, or the path of a socket */
function setAddress(span: Span, endpoint: string): void {
  const [, host = endpoint, port] = /^\[?([^\]]*?)\]?:(\d+)$/.exec(endpoint) ?? [];
  span.set("server.address", host);
  if (port !== undefined) span.set("server.port", Number(port));
}
