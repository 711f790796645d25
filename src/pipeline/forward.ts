import { Readable } from "node:stream";
import type { PassThroughBinding } from "../bindings/binding.js";
import type { HeaderList } from "../net/headers.js";
import { type BodyReader, bodyFailure } from "../server/inbound-request.js";
import { type Failure, GatewayError, gatewayError, gatewayFailure } from "../status/failure.js";
import { endHttpSpan, httpClientSpan } from "../telemetry/tracing/http-span.js";
import type { BackendRequest, BackendResponse } from "../upstream/http/client.js";
import { backendFailure, backendHeaders, type ForwardedHeaders } from "../upstream/http/message.js";
import type { HttpResponse, ReadonlyContext } from "./context.js";
import { requestMetadata } from "./metadata.js";
import { noteOrigin } from "./trace.js";

/** The methods of a pass-through prefix; also rare ones of other specifications. */
const allow: readonly string[] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/**
 * Sends a request to the HTTP backend of its prefix and returns the response, its body as a stream.
 * @param received is called with the bytes of each piece of the body
 * @param own the headers that every response of the gateway carries; they replace the backend's
 * @throws GatewayError METHOD_NOT_ALLOWED, MALFORMED_REQUEST, MALFORMED_PATH, BODY_TOO_LARGE, ROUTE_NOT_FOUND,
 *   INVALID_HEADER, CLIENT_CLOSED, REQUEST_TIMEOUT, UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT, UPSTREAM_PROTOCOL
 */
export async function forward(
  context: ReadonlyContext,
  binding: PassThroughBinding,
  received: (bytes: number) => void,
  own: HeaderList,
): Promise<HttpResponse> {
  const { request } = context;
  const { bodyLimit, websocket, forwarder, check, ownHeader } = binding;
  const { method, path, query, upgrade, cancellation } = request;
  // A response to TRACE would show the client the headers that only the backend may see (RFC 9110 §9.3.8).
  if (method === "TRACE" || method === "CONNECT") {
    const message = `${method} is not forwarded`;
    throw gatewayError("METHOD_NOT_ALLOWED", message, [], { allow });
  }
  if (request.hasBody && (method === "GET" || method === "HEAD"))
    throw gatewayError("MALFORMED_REQUEST", `a ${method} request has no body`);
  if (Number(request.header("content-length") ?? 0) > bodyLimit)
    throw gatewayError("BODY_TOO_LARGE", `the body is limited to ${bodyLimit} bytes`);
  check?.(request);
  if (upgrade !== undefined && !websocket)
    throw gatewayError("ROUTE_NOT_FOUND", "no WebSocket is served here");
  const controller = new AbortController();
  const span = httpClientSpan(context.span, method);
  span?.set("protogate.upstream", binding.upstream);
  const forwarded: BackendRequest = {
    method,
    target: forwarder.target(path, query),
    headers: backendHeaders(request.headers(), ownHeaders(context, span?.headers()), ownHeader),
    body: request.hasBody ? new RequestBody(request.stream(bodyLimit), bodyLimit, received) : undefined,
    signal: controller.signal,
    sentTo: origin => noteOrigin(context, span, origin),
  };
  cancellation.listen(() => controller.abort());
  try {
    if (upgrade === undefined) {
      const response = await forwarder.send(forwarded);
      endHttpSpan(span, response.status);
      return await responseOf(response, own);
    }
    upgrade.watch();
    const response = await forwarder.upgrade(forwarded);
    endHttpSpan(span, response.kind === "refused" ? response.status : 101);
    if (response.kind === "refused") return await responseOf(response, own);
    if (cancellation.cancelled) {
      response.socket.destroy();
      throw new GatewayError(clientDisconnected());
    }
    forwarder.join(upgrade.accept([...headerLines(response.headers, own), ...own]), response.socket);
    return { status: 101, headers: [], body: undefined };
  } catch (error) {
    const failure = cancellation.cancelled ? new GatewayError(clientDisconnected()) : error;
    span?.fail(failure instanceof GatewayError ? failure.failure.reason : "INTERNAL");
    span?.end();
    throw failure;
  }
}

function clientDisconnected(): Failure {
  return gatewayFailure("CLIENT_CLOSED", disconnected);
}

const disconnected = "the client disconnected before there was a response";

/** Why the body of a response has not come to its end. */
export function forwardingFailure({ request }: ReadonlyContext, error: Error): Failure {
  return request.cancellation.cancelled ? clientDisconnected() : backendFailure(error);
}

/** The gateway's own headers, which replace the client's; RPC backends get the same as metadata. */
function ownHeaders(
  { request, guardResult, requestId, routes }: ReadonlyContext,
  trace: HeaderList | undefined,
): ForwardedHeaders {
  const headers: Record<string, string | undefined> = { forwarded: undefined, "x-real-ip": undefined };
  for (const [name, value] of requestMetadata(
    request,
    [],
    guardResult?.identity?.metadata,
    requestId,
    routes.origins,
    trace,
  )) {
    if (typeof value === "string") headers[name] = value;
  }
  return headers;
}

/** Waits for the first bytes or the end of the body: until then a failure can still be the response. */
async function responseOf(
  { status, headers, body }: BackendResponse,
  own: HeaderList,
): Promise<HttpResponse> {
  const lines = headerLines(headers, own);
  // 205 has a length, which is 0 (RFC 9110 §15.3.6).
  if (body === undefined) return { status, headers: lines, body: status === 205 ? "" : undefined };
  const ended = await new Promise<boolean>((resolve, reject) => {
    // Node.js 24 emits it ahead of the end of an empty body, too.
    const readable = (): void => {
      if (body.readableLength > 0) settle(() => resolve(false));
    };
    const end = (): void => settle(() => resolve(true));
    const error = (cause: Error): void => settle(() => reject(new GatewayError(backendFailure(cause))));
    const settle = (act: () => void): void => {
      body.off("readable", readable).off("end", end).off("error", error);
      act();
    };
    body.on("readable", readable).on("end", end).on("error", error);
  });
  if (!ended) return { status, headers: lines, body };
  return { status, headers: lines.filter(([name]) => name !== "content-length"), body: "" };
}

/** All but those that the gateway sends itself. `vary` values are merged. */
function headerLines(
  headers: NodeJS.Dict<string | string[]>,
  own: HeaderList,
): (readonly [string, string])[] {
  const lines: (readonly [string, string])[] = [];
  for (const [name, value = []] of Object.entries(headers)) {
    if (name !== "vary" && own.some(([each]) => each === name)) continue;
    for (const line of Array.isArray(value) ? value : [value]) lines.push([name, line]);
  }
  return lines;
}

/** The body of a request on its way to the backend, as fast as the backend takes it. Fails with a GatewayError. */
class RequestBody extends Readable {
  readonly #reader: BodyReader;
  readonly #limit: number;
  readonly #received: (bytes: number) => void;
  #started = false;

  constructor(reader: BodyReader, limit: number, received: (bytes: number) => void) {
    super();
    this.#reader = reader;
    this.#limit = limit;
    this.#received = received;
    // There is no other listener before it is sent, nor after the backend has responded.
    this.on("error", () => undefined);
  }

  override _read(): void {
    if (this.#started) {
      this.#reader.resume();
      return;
    }
    this.#started = true;
    this.#reader.start({
      chunk: chunk => {
        this.#received(chunk.length);
        if (!this.destroyed && !this.push(chunk)) this.#reader.pause();
      },
      end: () => this.push(null),
      fail: error => this.destroy(new GatewayError(bodyFailure(error, this.#limit, disconnected))),
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#started) this.#reader.pause();
    done(error);
  }
}
