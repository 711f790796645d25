import { Code, codeName } from "../status/code.js";
import { type Span, SpanKind } from "../telemetry/tracing/span.js";
import type { AttemptTrace, CallStatus, CallTrace } from "./channel.js";

/**
 * The attempts of a call as children of a span, by OpenTelemetry's conventions for RPC.
 * @param parent undefined where the trace is not recorded
 * @param path `/package.Service/Method`
 */
export function attemptsOf(parent: Span, path: string, upstream: string): CallTrace;
export function attemptsOf(parent: Span | undefined, path: string, upstream: string): CallTrace | undefined;
export function attemptsOf(parent: Span | undefined, path: string, upstream: string): CallTrace | undefined {
  if (parent === undefined) return undefined;
  return {
    traceId: parent.traceId,
    attempt: (endpoint, number, system): AttemptTrace => {
      const span = parent.child(path.slice(1), SpanKind.Client);
      span.set("rpc.system", system);
      setMethod(span, path);
      span.setAddress(endpoint);
      span.set("protogate.upstream", upstream);
      span.set("protogate.attempt", number);
      return { metadata: span.headers(), ended: status => endAttempt(span, system, status) };
    },
  };
}

function endAttempt(span: Span, system: string, { code, message, origin, backendCode }: CallStatus): void {
  // The codes of others are none of gRPC's; this is the one that theirs counts as.
  span.set(system === "grpc" ? "rpc.grpc.status_code" : "protogate.grpc_code", code);
  span.set("protogate.backend_code", backendCode);
  if (code !== Code.OK)
    span.fail(origin === "backend" ? codeName(code) : (origin ?? codeName(code)), message);
  span.end();
}

/** @param path `/package.Service/Method` */
export function setMethod(span: Span, path: string): void {
  const slash = path.lastIndexOf("/");
  span.set("rpc.service", path.slice(1, slash));
  span.set("rpc.method", path.slice(slash + 1));
}
