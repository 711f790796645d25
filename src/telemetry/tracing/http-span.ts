import { type Span, SpanKind } from "./span.js";

/**
 * Spans of requests to HTTP backends, by OpenTelemetry's conventions for HTTP.
 * @param parent undefined where the trace is not recorded
 */
export function httpClientSpan(parent: Span | undefined, method: string): Span | undefined {
  const span = parent?.child(method, SpanKind.Client);
  span?.set("http.request.method", method);
  return span;
}

/** The backend has responded; its body may be still to come. */
export function endHttpSpan(span: Span | undefined, status: number): void {
  if (span === undefined) return;
  span.set("http.response.status_code", status);
  if (status >= 400) span.fail(String(status));
  span.end();
}
