import { type Span, SpanKind, traced } from "../../telemetry/tracing/span.js";
import type { Tracer } from "../../telemetry/tracing/tracer.js";

/**
 * The span that something is part of; `unrecorded` where it is part of a trace that is not recorded; undefined: a trace
 * begins with it.
 */
export type ParentSpan = Span | "unrecorded" | undefined;

/** Begins the span of a step, or a trace with it. */
export function beginSpan(
  tracer: Tracer | undefined,
  parent: ParentSpan,
  name: string,
  kind: SpanKind,
): Span | undefined {
  if (parent === "unrecorded") return undefined;
  return parent === undefined ? tracer?.root(name, kind) : parent.child(name, kind);
}

/** The spans of publishing in rooms, and of deliveries to members here: one a message, however many they are. */
export class RoomTraces {
  /** Of the message being published, as long as its broker has the turn. */
  #publishing: ParentSpan;

  constructor(readonly tracer: Tracer) {}

  /**
   * Publishes within a span, where the trace is recorded.
   * @param describe adds to the span
   */
  publish<T>(room: string, parent: ParentSpan, publish: () => T, describe?: (span: Span) => void): T {
    const span = beginSpan(this.tracer, parent, "publish", SpanKind.Producer);
    span?.set("messaging.destination.name", room);
    if (span !== undefined) describe?.(span);
    const before = this.#publishing;
    this.#publishing = span ?? "unrecorded";
    try {
      return span === undefined ? publish() : traced(span, publish);
    } finally {
      this.#publishing = before;
    }
  }

  /** Of a message for members here: part of its publishing, where that is still under way here, or a trace of its own. */
  delivery(room: string): Span | undefined {
    const span = beginSpan(this.tracer, this.#publishing, "fan-out", SpanKind.Consumer);
    span?.set("messaging.destination.name", room);
    return span;
  }
}
