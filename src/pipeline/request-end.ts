import type { Readable } from "node:stream";
import { errorStack } from "../net/error-text.js";
import type { HeaderList } from "../net/headers.js";
import type { ResponseWriter } from "../server/response-writer.js";
import { type Failure, gatewayFailure } from "../status/failure.js";
import type { HttpResponse, Outcome, RequestContext } from "./context.js";
import { forwardingFailure } from "./forward.js";
import { type Records, record } from "./record.js";

export interface RequestEndOptions extends Records {
  /** True once the gateway is shutting down. */
  draining(): boolean;
}

/** The end of a request: its response is written, it is recorded, and its resources are released. */
export class RequestEnd {
  readonly #options: RequestEndOptions;

  constructor(options: RequestEndOptions) {
    this.#options = options;
  }

  /** Writes the response; an engine that cannot write it must not cost the process. */
  respond(context: RequestContext, response: HttpResponse): void {
    const { status, headers, body, trailers } = response;
    this.complete(context, headers);
    try {
      if (typeof body === "string" || body instanceof Uint8Array) {
        context.responseBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
        if (trailers === undefined) context.response.send(status, headers, body);
        else sendWithTrailers(context.response, response, body, trailers);
      } else if (typeof body === "function") {
        body(context.response.open(status, headers), () => context.response.abandon());
      } else if (body !== undefined) {
        streamBody(context, response, body, outcome => this.finish(context, outcome));
        return;
      } else if (status !== 101) {
        context.response.open(status, headers).end();
      }
    } catch (error) {
      const failure = gatewayFailure("INTERNAL", "the response could not be written");
      context.response.abandon();
      this.finish(context, { ...response, failure, detail: errorStack(error) });
      return;
    }
    this.finish(context, response);
  }

  /** Adds the headers of every response of a connection that may be ended after it. */
  complete(context: RequestContext, headers: (readonly [string, string])[]): HeaderList {
    ownHeaders(context, headers);
    if (this.#options.draining()) headers.push(["connection", "close"]);
    return headers;
  }

  /** The response is over. */
  finish(context: RequestContext, response: Outcome): void {
    try {
      record(this.#options, context, response);
    } finally {
      if (context.guardResult !== undefined) for (const release of context.guardResult.releases) release();
      this.#options.metrics.requestFinished();
      context.routes.release();
    }
  }
}

/** Adds the headers of every response: the request's id, CORS, configured headers, and those of the guard. */
export function ownHeaders(
  { request, routes, requestId, guardResult, protocol, binding }: RequestContext,
  headers: (readonly [string, string])[],
): HeaderList {
  headers.push(["x-request-id", requestId]);
  const origin = request.header("origin");
  const cors = binding?.kind === "local" ? binding.handler.cors : undefined;
  for (const field of routes.responseHeaders(origin, request.encrypted, protocol !== undefined, cors))
    headers.push(field);
  if (guardResult !== undefined) headers.push(...guardResult.headers);
  return headers;
}

/** Writes a whole response with trailers behind it. */
function sendWithTrailers(
  writer: ResponseWriter,
  { status, headers }: Pick<HttpResponse, "status" | "headers">,
  body: string | Uint8Array,
  trailers: HeaderList,
): void {
  const out = writer.open(status, headers);
  if (body.length > 0) out.write(typeof body === "string" ? Buffer.from(body) : body);
  out.end(trailers);
}

/** Writes a body as it comes, as fast as the client takes it. @param finish called once, when it is over */
function streamBody(
  context: RequestContext,
  response: HttpResponse,
  body: Readable,
  finish: (outcome: Outcome) => void,
): void {
  const { request } = context;
  const writer = context.response.open(response.status, response.headers);
  const counted = request.method !== "HEAD";
  let ended = false;
  const end = (failure?: Failure): void => {
    if (ended) return;
    ended = true;
    if (failure === undefined) {
      writer.end();
      finish(response);
      return;
    }
    body.destroy();
    context.response.abandon();
    finish({ ...response, failure });
  };
  body.on("error", error => end(forwardingFailure(context, error)));
  body.on("end", () => end());
  body.on("close", () => end(forwardingFailure(context, new Error("the body was cut short"))));
  body.on("data", (chunk: Buffer) => {
    if (counted) context.responseBytes += chunk.length;
    if (!writer.write(chunk)) body.pause();
  });
  writer.onDrain(() => body.resume());
  request.cancellation.listen(() => {
    body.destroy();
    end(forwardingFailure(context, new Error("the client disconnected")));
  });
}
