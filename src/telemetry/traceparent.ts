import { randomHex } from "./random-hex.js";

/** What is sent upstream so that the backend's spans join the trace (W3C Trace Context). */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the gateway's own span. */
  readonly spanId: string;
  readonly sampled: boolean;
  readonly traceparent: string;
  /** As the client sent it; undefined for a new trace. */
  readonly tracestate: string | undefined;
}

/** A `traceparent` header that is valid. */
export interface Traceparent {
  readonly traceId: string;
  readonly parentId: string;
  readonly sampled: boolean;
}

/** Characters of `tracestate` that are passed on (W3C Trace Context section 3.3.1.5 asks for at least 512). */
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

/**
 * Continues the client's trace with a span of our own, or starts one where `traceparent` is absent or malformed.
 *
 * @param sampleRatio share of new traces that are marked as sampled, 0..1; the mark of a continued one is kept. Backends
 *   that sample by their parent, OpenTelemetry's default, record nothing of a trace that is not marked.
 */
export function traceOf(
  traceparent: string | undefined,
  tracestate: string | undefined,
  sampleRatio: number,
): TraceContext {
  const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
  const traceId = parent?.traceId ?? randomHex(16);
  const spanId = randomHex(8);
  const sampled = parent?.sampled ?? Math.random() < sampleRatio;
  return {
    traceId,
    spanId,
    sampled,
    traceparent: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`,
    tracestate: parent === undefined || tracestate === undefined ? undefined : boundTracestate(tracestate),
  };
}

/** Whole entries are dropped from the end until the rest fits. */
function boundTracestate(tracestate: string): string | undefined {
  if (!tracestatePattern.test(tracestate)) return undefined;
  if (tracestate.length <= maxTracestate) return tracestate;
  const end = tracestate.lastIndexOf(",", maxTracestate);
  return end <= 0 ? undefined : tracestate.slice(0, end);
}
