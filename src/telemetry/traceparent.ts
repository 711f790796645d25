/** The trace that a request belongs to, as it is sent upstream (W3C Trace Context). */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

/** A `traceparent` header that is valid. */
export interface Traceparent {
  readonly traceId: string;
  readonly parentId: string;
  readonly sampled: boolean;
}

/** Most characters of `tracestate` that are passed on (W3C Trace Context section 3.3.1.5 requires at least 512). */
const maxTracestate = 512;

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const tracestatePattern = /^[\t\x20-\x7e]+$/;
const zeroTraceId = "0".repeat(32);
const zeroParentId = "0".repeat(16);

/**
 * Reads a `traceparent` header; undefined where it is malformed. Versions above 00 are read as 00, and may have more
 * behind it (W3C Trace Context section 3.2.4).
 */
export function parseTraceparent(text: string): Traceparent | undefined {
  const [, version, traceId, parentId, flags, rest] = pattern.exec(text) ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (traceId === zeroTraceId || parentId === zeroParentId) return undefined;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The trace of a `traceparent` header; undefined where there is none, or it is malformed. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent === undefined ? undefined : parseTraceparent(traceparent)?.traceId;
}

/**
 * The client's trace, passed on as it is where the gateway records no span of its own: a parent id of its own would
 * tear the trace apart. Undefined where `traceparent` is absent or malformed; `tracestate` means nothing without it.
 */
export function passedTrace(
  traceparent: string | undefined,
  tracestate: string | undefined,
): TraceHeaders | undefined {
  if (traceparent === undefined || parseTraceparent(traceparent) === undefined) return undefined;
  return { traceparent, tracestate: tracestate === undefined ? undefined : boundTracestate(tracestate) };
}

/** Whole entries are dropped from the end until the rest fits; undefined where it is malformed. */
export function boundTracestate(tracestate: string): string | undefined {
  if (!tracestatePattern.test(tracestate)) return undefined;
  if (tracestate.length <= maxTracestate) return tracestate;
  const end = tracestate.lastIndexOf(",", maxTracestate);
  return end <= 0 ? undefined : tracestate.slice(0, end);
}
