import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { Agent, buildConnector, type Dispatcher } from "undici";
import { type GatewayError, gatewayError } from "../../status/failure.js";

export interface BackendTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** A request to an HTTP backend. */
export interface BackendRequest {
  readonly method: string;
  /** Path and query, byte for byte. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable | undefined;
  /** Aborted when the response is not needed any more. */
  readonly signal: AbortSignal;
  /** Called with the origin of the backend, such as `http://10.0.0.9:8080`, before the request is sent. */
  sentTo(origin: string): void;
}

/** The response of an HTTP backend. */
export interface BackendResponse {
  /** 200 to 599. */
  readonly status: number;
  /** End to end. */
  readonly headers: IncomingHttpHeaders;
  /** Undefined where the status or the method has none. */
  readonly body: Readable | undefined;
}

/** How many requests one target has under way: as many as there are connections, and those that wait for one. */
const maxConnections = 128;
const maxWaiting = 1024;

export interface BackendClientOptions {
  /** Milliseconds for the head of a response, and between two parts of its body. */
  readonly timeoutMs: number;
  readonly tls: BackendTls | undefined;
  readonly maxConnections?: number;
  readonly maxWaiting?: number;
}

type Callback = (error: Error | null, response?: Omit<Dispatcher.ResponseData, "body">) => void;

/**
 * The HTTP client of one prefix, which `@fastify/reply-from` uses instead of undici's. The request given to `prepare`
 * is sent unchanged: reply-from would normalize the path.
 */
export class BackendClient {
  readonly #agent: Agent;
  readonly #maxUnderWay: number;
  readonly #underWay = new Map<string, number>();
  #next: BackendRequest | undefined;

  constructor(options: BackendClientOptions) {
    const connections = options.maxConnections ?? maxConnections;
    this.#maxUnderWay = connections + (options.maxWaiting ?? maxWaiting);
    const connect = buildConnector({ rejectUnauthorized: true, ...options.tls });
    this.#agent = new Agent({
      connections,
      headersTimeout: options.timeoutMs,
      bodyTimeout: options.timeoutMs,
      connect: (target, callback) =>
        connect(target, (error, socket) => {
          if (error !== null) callback(error, null);
          else callback(null, finishingPaused(socket as Socket));
        }),
    });
  }

  /** Sets the request that `request` sends; it is called within the same turn of the event loop. */
  prepare(request: BackendRequest): void {
    this.#next = request;
  }

  request(options: Dispatcher.RequestOptions, callback: Callback): void {
    const next = this.#next as BackendRequest;
    const { target, signal, body } = next;
    this.#next = undefined;
    const origin = String(options.origin);
    next.sentTo(origin);
    const underWay = this.#underWay.get(origin) ?? 0;
    if (underWay >= this.#maxUnderWay) {
      body?.destroy();
      callback(overloaded());
      return;
    }
    this.#underWay.set(origin, underWay + 1);
    this.#agent.request({ ...options, path: target, signal }, (error, response) => {
      if (error !== null) {
        this.#finished(origin);
        callback(error);
        return;
      }
      response.body.once("close", () => this.#finished(origin));
      takeResponse(options.method, response, callback);
    });
  }

  /** Ends all requests under way. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #finished(origin: string): void {
    const left = (this.#underWay.get(origin) ?? 0) - 1;
    if (left > 0) this.#underWay.set(origin, left);
    else this.#underWay.delete(origin);
  }
}

/** As much as is used of undici's parser, which it keeps with the socket. */
interface Parser {
  paused: boolean;
  readonly llhttp: { llhttp_resume(parser: unknown): void };
  readonly ptr: unknown;
  resume(): void;
}

/**
 * A connection whose end undici survives: up to 7.30 it asserts, within a listener, that its parser is not paused when
 * the other side ends a connection that is not kept alive, so that a client that reads slowly could end the process.
 * (https://github.com/nodejs/undici/issues/5360; mended in 8, which needs Node.js 22.)
 */
function finishingPaused(socket: Socket): Socket {
  const emit = socket.emit.bind(socket) as (event: string | symbol, ...rest: unknown[]) => boolean;
  const emitFinishing = (event: string | symbol, ...rest: unknown[]): boolean => {
    if (event === "end" || event === "error" || event === "close") finishParser(socket);
    return emit(event, ...rest);
  };
  socket.emit = emitFinishing as typeof socket.emit;
  return socket;
}

function finishParser(socket: Socket): void {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "parser");
  const parser = key && (socket as unknown as Record<symbol, Parser | null>)[key];
  if (!parser?.paused) return;
  // A connection that was reset has no good end.
  if (!socket.destroyed) {
    // The received bytes are kept by the body, whose reader is behind.
    parser.resume();
    while (parser.paused && socket.readableLength > 0) parser.resume();
    if (parser.paused) parser.llhttp.llhttp_resume(parser.ptr);
  }
  parser.paused = false;
}

function takeResponse(
  method: Dispatcher.HttpMethod,
  response: Dispatcher.ResponseData,
  callback: Callback,
): void {
  const { statusCode, headers, body } = response;
  if (!isFinalStatus(statusCode)) {
    body.on("error", () => undefined).destroy();
    callback(badStatus(statusCode));
    return;
  }
  if (!hasNoContent(method, statusCode)) {
    callback(null, response);
    return;
  }
  // A content-length without a body must not fail the response.
  body.on("error", () => undefined);
  body.dump().catch(() => undefined);
  if (method !== "HEAD" && statusCode !== 304) delete headers["content-length"];
  callback(null, { ...response, body: undefined } as never);
}

/** Whether a status can be that of a response (RFC 9110 section 15). */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

/** Whether a response has no content, with any headers (RFC 9110 §6.4.1, §15.3.6). */
export function hasNoContent(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

export function badStatus(status: number): GatewayError {
  const message = `the upstream sent the status ${status}; expected 200 to 599`;
  return gatewayError("UPSTREAM_PROTOCOL", message);
}

function overloaded(): GatewayError {
  const message = "too many requests wait for a connection to the upstream";
  return gatewayError("UPSTREAM_UNAVAILABLE", message);
}
