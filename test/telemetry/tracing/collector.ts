import { EventEmitter, once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import protobuf from "protobufjs";

/** The messages of OpenTelemetry's opentelemetry-proto 1.x that requests of traces are made of. */
const proto = `
syntax = "proto3";
package opentelemetry.proto;
message ExportTraceServiceRequest { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message ScopeSpans { InstrumentationScope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message InstrumentationScope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message Span {
  bytes trace_id = 1;
  bytes span_id = 2;
  string trace_state = 3;
  bytes parent_span_id = 4;
  string name = 5;
  enum SpanKind {
    SPAN_KIND_UNSPECIFIED = 0;
    SPAN_KIND_INTERNAL = 1;
    SPAN_KIND_SERVER = 2;
    SPAN_KIND_CLIENT = 3;
    SPAN_KIND_PRODUCER = 4;
    SPAN_KIND_CONSUMER = 5;
  }
  SpanKind kind = 6;
  fixed64 start_time_unix_nano = 7;
  fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9;
  uint32 dropped_attributes_count = 10;
  uint32 dropped_events_count = 12;
  message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; }
  repeated Link links = 13;
  uint32 dropped_links_count = 14;
  Status status = 15;
  fixed32 flags = 16;
}
message Status {
  reserved 1;
  string message = 2;
  enum StatusCode { STATUS_CODE_UNSET = 0; STATUS_CODE_OK = 1; STATUS_CODE_ERROR = 2; }
  StatusCode code = 3;
}
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
`;
const type = protobuf.parse(proto).root.lookupType("opentelemetry.proto.ExportTraceServiceRequest");

/** A span as a collector sees it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState: string;
  /** Empty for the first of a trace. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: string;
  readonly nanoseconds: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Spans that it is linked with, `<trace id> <span id>`. */
  readonly links: readonly string[];
  readonly error: boolean;
  readonly resource: Readonly<Record<string, string | number>>;
}

export interface Collector {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Of each request, in order. */
  readonly requests: {
    readonly path: string;
    readonly headers: IncomingHttpHeaders;
    readonly spans: number;
  }[];
  /** The status of responses; undefined: none ever comes. */
  status: number | undefined;
  /** Resolves when a span has come that fits. */
  received(fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
  /** Resolves when so many requests have come. */
  requested(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A receiver of OTLP/HTTP, which decodes what it gets. */
export async function startCollector(): Promise<Collector> {
  const arrived = new EventEmitter().setMaxListeners(100);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const spans = decode(Buffer.concat(chunks));
      collector.requests.push({ path: request.url ?? "", headers: request.headers, spans: spans.length });
      if (collector.status === 200) collector.spans.push(...spans);
      if (collector.status !== undefined) response.writeHead(collector.status).end();
      arrived.emit("request");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    requests: [],
    status: 200,
    received: async fits => {
      for (;;) {
        const found = collector.spans.find(fits);
        if (found !== undefined) return found;
        await once(arrived, "request");
      }
    },
    requested: async count => {
      while (collector.requests.length < count) await once(arrived, "request");
    },
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return collector;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number>>;
}

function decode(body: Buffer): ReceivedSpan[] {
  const request = type.toObject(type.decode(body), {
    longs: String,
    enums: String,
    bytes: Array,
    defaults: true,
  });
  return request.resourceSpans.flatMap(
    (group: { resource: { attributes: KeyValue[] }; scopeSpans: never[] }) =>
      group.scopeSpans.flatMap(({ spans }: { spans: never[] }) =>
        spans.map(
          (span: {
            traceId: number[];
            spanId: number[];
            parentSpanId: number[];
            traceState: string;
            name: string;
            kind: string;
            startTimeUnixNano: string;
            endTimeUnixNano: string;
            attributes: KeyValue[];
            links: { traceId: number[]; spanId: number[] }[];
            status: { code: string } | null;
          }): ReceivedSpan => ({
            traceId: hex(span.traceId),
            spanId: hex(span.spanId),
            parentId: hex(span.parentSpanId),
            traceState: span.traceState,
            name: span.name,
            kind: span.kind.replace("SPAN_KIND_", ""),
            nanoseconds: BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano),
            attributes: valuesOf(span.attributes),
            links: span.links.map(link => `${hex(link.traceId)} ${hex(link.spanId)}`),
            error: span.status?.code === "STATUS_CODE_ERROR",
            resource: valuesOf(group.resource.attributes),
          }),
        ),
      ),
  );
}

function valuesOf(attributes: readonly KeyValue[]): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      "stringValue" in value ? (value.stringValue as string) : Number(value.intValue ?? value.doubleValue),
    ]),
  );
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString("hex");
}
