import { performance } from "node:perf_hooks";
import type { Binding } from "../bindings/binding.js";
import { Code } from "../status/code.js";
import type { AccessLog } from "../telemetry/access-log.js";
import type { Metrics } from "../telemetry/metrics.js";
import { methodLabel, none, other, type RouteMetrics } from "../telemetry/route-metrics.js";
import { traceIdOf } from "../telemetry/traceparent.js";
import type { Outcome, ReadonlyContext } from "./context.js";
import { endServerSpan } from "./trace.js";

/** Where requests are recorded. */
export interface Records {
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
}

/** Counts a request and writes its log line, both with the real outcome, in any dialect. */
export function record(
  { metrics, accessLog }: Records,
  context: ReadonlyContext,
  { status: sent, failure, detail }: Outcome,
): void {
  const { request, binding, requestId, span, requestBytes, responseBytes, upstreamSeconds } = context;
  const seconds = (performance.now() - context.startedMs) / 1000;
  // A socket reports its failure in band.
  const status = sent === 101 ? sent : (failure?.httpStatus ?? sent);
  const code = failure?.code ?? (status < 400 ? Code.OK : Code.UNKNOWN);
  const backendCode = failure?.backendCode;
  const label = backendCode === undefined ? undefined : businessLabel(binding, backendCode);
  if (span !== undefined) endServerSpan(span, context, status, failure);
  if (context.streamed) {
    routeMetrics(metrics, request.method, binding).count(status, code, label);
  } else if (status !== 101) {
    // The lifetime of a WebSocket is no latency.
    routeMetrics(metrics, request.method, binding).observe(
      status,
      code,
      seconds,
      requestBytes,
      responseBytes,
      label,
      span?.traceId,
    );
  }
  const isFailure = status >= 400;
  const isLogged = accessLog.takes(status);
  if (!isFailure && !isLogged) return;
  const traceId = span?.traceId ?? traceIdOf(request.header("traceparent"));
  const route = binding?.template.text;
  const upstream = binding === undefined ? undefined : upstreamOf(binding);
  const reason = failure?.reason;
  if (isFailure) {
    const method = methodLabel(request.method);
    metrics.failures.add({ method, route, upstream, status, code, reason, requestId, traceId });
  }
  if (isLogged) {
    accessLog.write({
      requestId,
      traceId,
      method: request.method,
      path: request.path,
      route,
      rpc: binding?.kind === "rpc" ? binding.route.rpc.path : undefined,
      upstream,
      status,
      code,
      backendCode,
      seconds,
      upstreamSeconds,
      upstreamAddress: context.endpoint?.address,
      identity: context.guardResult?.identity,
      requestBytes,
      responseBytes,
      reason,
      detail,
    });
  }
}

function businessLabel(binding: Binding | undefined, backendCode: number): string {
  return binding?.kind === "rpc" ? binding.route.policy.labelOf(backendCode) : other;
}

/** A binding's own metrics, unless the request has another method than the binding (HEAD for GET, any for `*`). */
function routeMetrics(metrics: Metrics, method: string, binding: Binding | undefined): RouteMetrics {
  if (binding === undefined) return metrics.route(none, method, none);
  if (binding.method === method) return binding.metrics;
  return metrics.route(binding.template.text, method, binding.service);
}

function upstreamOf(binding: Binding): string | undefined {
  switch (binding.kind) {
    case "rpc":
      return binding.route.upstream;
    case "pass-through":
      return binding.upstream;
    case "local":
      return undefined;
  }
}
