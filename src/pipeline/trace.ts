import type { RpcBinding } from "../bindings/binding.js";
import { Code } from "../status/code.js";
import type { Failure } from "../status/failure.js";
import type { Span } from "../telemetry/tracing/span.js";
import { attemptsOf, setMethod } from "../upstream/attempt-spans.js";
import { type AttemptTrace, type CallTrace, noMetadata } from "../upstream/channel.js";
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
  span.setAddress(request.header("host") ?? "");
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

/** The attempts of a request's call, each with its own span; undefined where neither traces nor the log need them. */
export function callTrace({ span, endpoint }: ReadonlyContext, binding: RpcBinding): CallTrace | undefined {
  const { rpc, upstream } = binding.route;
  const spans = attemptsOf(span, rpc.path, upstream);
  return endpoint === undefined ? spans : noting(endpoint, spans);
}

function noting(endpoint: CalledEndpoint, spans: CallTrace | undefined): CallTrace {
  return {
    traceId: spans?.traceId,
    attempt: (address, number, system): AttemptTrace => {
      endpoint.address = address;
      return spans?.attempt(address, number, system) ?? unrecorded;
    },
  };
}

const unrecorded: AttemptTrace = { metadata: noMetadata, ended: () => undefined };

/** A request is about to go to this origin (`http://host:port`) of its upstream. */
export function noteOrigin({ endpoint }: ReadonlyContext, span: Span | undefined, origin: string): void {
  if (endpoint === undefined && span === undefined) return;
  const { host } = new URL(origin);
  if (endpoint !== undefined) endpoint.address = host;
  if (span !== undefined) span.setAddress(host);
}
