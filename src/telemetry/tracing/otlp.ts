import { FIXED32, FIXED64 } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";

/**
 * Spans as OTLP sends them: opentelemetry/proto/trace/v1/trace.proto and collector/trace/v1/trace_service.proto, 1.x,
 * in their protobuf form.
 */

export const SpanStatus = { Unset: 0, Error: 2 } as const;

export interface SpanRecord {
  /** In hex, as the ids below. */
  readonly traceId: string;
  readonly spanId: string;
  readonly tracestate: string | undefined;
  readonly parentId: string | undefined;
  readonly name: string;
  readonly kind: number;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: readonly (readonly [name: string, value: string | number])[];
  /** A span that it belongs with, maybe of another trace. */
  readonly link: Pick<SpanRecord, "traceId" | "spanId"> | undefined;
  readonly status: number;
  readonly message: string | undefined;
}

/** Flags of a span: it is sampled. */
const sampledFlag = 1n;

/** Kept, so that its memory has grown to the size of spans. */
const out = new WireWriter();

/** The message of one span. */
export function spanBytes(span: SpanRecord): Uint8Array {
  out.field(1, Buffer.from(span.traceId, "hex"));
  out.field(2, Buffer.from(span.spanId, "hex"));
  if (span.tracestate !== undefined) out.string(3, span.tracestate);
  if (span.parentId !== undefined) out.field(4, Buffer.from(span.parentId, "hex"));
  out.string(5, span.name);
  out.integer(6, span.kind);
  out.tag(7, FIXED64);
  out.fixed(nanoseconds(span.startMs), 8);
  out.tag(8, FIXED64);
  out.fixed(nanoseconds(span.endMs), 8);
  for (const [name, value] of span.attributes) attribute(out, 9, name, value);
  const { link } = span;
  if (link !== undefined) {
    out.message(13, each => {
      each.field(1, Buffer.from(link.traceId, "hex"));
      each.field(2, Buffer.from(link.spanId, "hex"));
    });
  }
  if (span.status !== SpanStatus.Unset) {
    const status = new WireWriter();
    if (span.message !== undefined) status.string(2, span.message);
    status.integer(3, span.status);
    out.field(15, status.finish());
  }
  out.tag(16, FIXED32);
  out.fixed(sampledFlag, 4);
  return out.take();
}

/** `Resource` of opentelemetry/proto/resource/v1/resource.proto. */
export function resourceBytes(attributes: SpanRecord["attributes"]): Uint8Array {
  const out = new WireWriter();
  for (const [name, value] of attributes) attribute(out, 1, name, value);
  return out.finish();
}

/** `ExportTraceServiceRequest` with these spans. @param scope the name and version of the instrumentation */
export function exportRequest(
  resource: Uint8Array,
  [name, version]: readonly [name: string, version: string],
  spans: readonly Uint8Array[],
): Uint8Array {
  const scope = new WireWriter();
  scope.string(1, name);
  scope.string(2, version);
  const scopeSpans = new WireWriter();
  scopeSpans.field(1, scope.finish());
  for (const span of spans) scopeSpans.field(2, span);
  const resourceSpans = new WireWriter();
  resourceSpans.field(1, resource);
  resourceSpans.field(2, scopeSpans.finish());
  const out = new WireWriter();
  out.field(1, resourceSpans.finish());
  return out.finish();
}

/** A field of `KeyValue`. */
function attribute(out: WireWriter, number: number, name: string, value: string | number): void {
  out.message(number, pair => {
    pair.string(1, name);
    pair.message(2, any => {
      if (typeof value === "string") any.string(1, value);
      else if (Number.isSafeInteger(value)) any.integer(3, value);
      else {
        const double = Buffer.alloc(8);
        double.writeDoubleLE(value);
        any.tag(4, FIXED64);
        any.raw(double);
      }
    });
  });
}

function nanoseconds(milliseconds: number): bigint {
  const whole = Math.floor(milliseconds);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((milliseconds - whole) * 1e6));
}
