import type { Readable } from "node:stream";
import type { Binding, BoundRoutes } from "../bindings/binding.js";
import type { LocalStream } from "../bindings/built-in-route.js";
import type { GuardResult } from "../bindings/guard.js";
import type { HeaderList } from "../net/headers.js";
import type { Protocol } from "../protocols/protocol.js";
import type { InboundRequest } from "../server/inbound-request.js";
import type { ResponseWriter } from "../server/response-writer.js";
import type { Failure } from "../status/failure.js";
import type { Span } from "../telemetry/tracing/span.js";

/** The state of one request while it is under way. Made and changed by the pipeline alone. */
export interface RequestContext {
  request: InboundRequest;
  response: ResponseWriter;
  /** Until the host is known, those of the listener. */
  routes: BoundRoutes;
  readonly requestId: string;
  /** Undefined where the trace of the request is not recorded. */
  readonly span: Span | undefined;
  /** Of `performance.now`. */
  readonly startedMs: number;
  /** Undefined until a route is found. */
  binding: Binding | undefined;
  /** The protocol in which the call came and its response is written; undefined for REST. */
  protocol: Protocol | undefined;
  /** The outcome of the binding's guard; undefined without one. */
  guardResult: GuardResult | undefined;
  /** The response is a stream of messages. */
  streamed: boolean;
  requestBytes: number;
  responseBytes: number;
  upstreamSeconds: number | undefined;
  /** Where the endpoint that was called last is noted; undefined where the log does not have it. */
  readonly endpoint: CalledEndpoint | undefined;
}

/** Which endpoint a request went to. */
export interface CalledEndpoint {
  /** Undefined until one is called. */
  address: string | undefined;
}

/** The context as all other code sees it. */
export type ReadonlyContext = Readonly<RequestContext>;

/** How a request ended. */
export interface Outcome {
  /** As it was sent; 101 where the connection is a WebSocket by now. */
  readonly status: number;
  /** Why it is an error; metrics and log count this one, independent of the dialect's status. */
  readonly failure?: Failure;
  /** Details of the error, for the log only. */
  readonly detail?: string | undefined;
}

/** The response to a request, before the headers that every response carries. */
export interface HttpResponse extends Outcome {
  /** The pipeline's from then on: it adds to them. */
  readonly headers: (readonly [string, string])[];
  /**
   * A stream has its first bytes, or its end, already: until then its failure could still be the response. Undefined
   * where there is no content and the headers say all (HEAD, 204, 304). One of the gateway's own outlives the request.
   */
  readonly body: string | Uint8Array | Readable | LocalStream | undefined;
  /** HTTP trailers; only behind a body that is text or bytes. */
  readonly trailers?: HeaderList;
}

/** Without a promise where the response is known at once; undefined where it comes by a callback. */
export type MaybeLater = HttpResponse | undefined | Promise<HttpResponse | undefined>;
