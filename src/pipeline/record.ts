import { performance } from "node:perf_hooks";
import type { Binding } from "../bindings/snapshot.js";
import { Code } from "../status/code.js";
import type { AccessLog } from "../telemetry/access-log.js";
import type { Metrics } from "../telemetry/metrics.js";
import { none, type RouteMetrics } from "../telemetry/route-metrics.js";
import type { Answer, Progress } from "./progress.js";

/** Where requests are recorded. */
export interface Records {
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
}

/** Counts a request and writes its log line; both say what really came of it, whatever the profile of its errors. */
export function record(
  { metrics, accessLog }: Records,
  progress: Progress,
  { status: sent, body }: Answer,
): void {
  const { exchange, binding, requestId, failure } = progress;
  const seconds = (performance.now() - progress.started) / 1000;
  const status = failure?.httpStatus ?? sent;
  const code = failure?.code ?? (status < 400 ? Code.OK : Code.UNKNOWN);
  const responseBytes =
    progress.relayedBytes + (typeof body === "string" ? Buffer.byteLength(body) : body.length);
  // How long a WebSocket lives is no latency.
  if (status !== 101) {
    routeMetrics(metrics, exchange.method, binding).observe(
      status,
      code,
      seconds,
      progress.requestBytes,
      responseBytes,
    );
  }
  if (accessLog.takes(status)) {
    accessLog.write({
      requestId,
      method: exchange.method,
      path: exchange.path,
      route: binding?.template.text,
      rpc: binding?.kind === "rpc" ? binding.route.rpc.path : undefined,
      upstream: binding === undefined ? undefined : upstreamOf(binding),
      status,
      code,
      seconds,
      upstreamSeconds: progress.upstreamSeconds,
      requestBytes: progress.requestBytes,
      responseBytes,
      reason: failure?.reason,
      detail: progress.detail,
    });
  }
}

/** A binding's own metrics, unless it answers another method than its own (HEAD for GET, any for `*`). */
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
    case "endpoint":
      return undefined;
  }
}
