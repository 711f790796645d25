import type { Caller } from "../../auth/caller.js";
import type { Identity } from "../../auth/identity.js";
import type { GuardResult } from "../../bindings/guard.js";
import { statusDialect } from "../../dialects/status.js";
import type { HeaderList } from "../../net/headers.js";
import { requireHandshake } from "../../server/handshake.js";
import { type Failure, type GatewayError, gatewayError, gatewayFailure } from "../../status/failure.js";
import { requestIdOf } from "../../telemetry/ids.js";
import { traceIdOf } from "../../telemetry/traceparent.js";
import type { Span } from "../../telemetry/tracing/span.js";
import type { Realtime } from "../realtime.js";
import type { Socket } from "../rooms/socket.js";
import { abandoned, admitSocket, opened, type PendingSocket } from "./admission.js";
import { SocketRequest } from "./upgrade-request.js";

/** How a listener takes sockets in, whichever its engine. */
export interface SocketUpgradeOptions {
  /** Such as `/ws`; `/` for the root. */
  readonly path: string;
  readonly encrypted: boolean;
  /** Largest message that is read, bytes; a larger one ends its socket. */
  readonly messageLimit: number;
  /** Milliseconds after which a silent client, also without pongs, is gone; from 8000 to 900,000. */
  readonly idleTimeout: number;
  /** Compresses messages, at the price of CPU and memory for each socket. */
  readonly deflate: boolean;
  /** How many proxies in front may be believed. */
  readonly trustedHops: number;
  /** Headers of refusals beside their own. @param origin the Origin header */
  responseHeaders?(origin: string | undefined): HeaderList;
  /** A request is over. */
  finished?(upgrade: FinishedUpgrade): void;
}

/** The outcome of a WebSocket upgrade, for metrics and log. */
export interface FinishedUpgrade {
  readonly path: string;
  readonly requestId: string;
  /** Undefined where the request belongs to no trace. */
  readonly traceId: string | undefined;
  /** Undefined where the caller is not authenticated, or need not be. */
  readonly identity: Identity | undefined;
  /** Undefined where the socket is open. */
  readonly failure: Failure | undefined;
  /** Until the response. */
  readonly seconds: number;
  /** Of the response's body. */
  readonly bytes: number;
}

/** A request for a WebSocket as an engine has it. */
export interface PendingUpgrade {
  /** Raw. */
  readonly path: string;
  readonly caller: Caller;
  /** Nothing can be sent any more: the client has gone, or has its response. */
  readonly over: boolean;
  /**
   * @param protocol the subprotocol; empty for none
   * @param headers of the response, beside those of the protocol
   */
  open(socket: Socket, protocol: string, headers: HeaderList): void;
  /** Opens the connection only to close it. Frames of the client are dropped meanwhile. @param protocol as of `open` */
  openAndClose(protocol: string, close: RefusingClose): void;
  /** Ends the connection as well: bytes that a client has sent after its request are frames, no further requests. */
  refuse(refusal: UpgradeRefusal): void;
}

/** How a socket that is refused is closed. */
export interface RefusingClose {
  /** 4000 + the HTTP status that the refusal would have as a response. */
  readonly code: number;
  /** JSON of at most 123 bytes (RFC 6455 section 5.5): `reason`, and `retry_after` in seconds where it may help. */
  readonly reason: string;
}

/** One WebSocket upgrade, from its head to the open socket or to the response with the refusal. */
export class SocketUpgrade implements PendingSocket {
  readonly request: SocketRequest;
  readonly path: string;
  readonly requestId: string;
  readonly guardResult: GuardResult = { method: "GET", identity: undefined, headers: [], releases: [] };
  readonly clientClosed = (): boolean => this.#pending.over;
  readonly #realtime: Realtime;
  readonly #options: SocketUpgradeOptions;
  readonly #pending: PendingUpgrade;
  readonly #started = performance.now();
  /** Undefined where the trace is not recorded. */
  readonly span: Span | undefined;

  constructor(realtime: Realtime, options: SocketUpgradeOptions, pending: PendingUpgrade) {
    this.#realtime = realtime;
    this.#options = options;
    this.#pending = pending;
    this.path = pending.path;
    this.requestId = requestIdOf(pending.caller.header("x-request-id"));
    this.span = realtime.tracer?.server(pending.caller);
    this.request = new SocketRequest(pending.caller, realtime.settings.origins, this.span);
  }

  readonly requireForm = (): void => {
    requireHandshake(name => this.request.header(name));
    if (this.#realtime.settings.webSockets === false)
      throw gatewayError("ROUTE_NOT_FOUND", "no WebSocket is served here");
  };

  /** Synchronous as far as its parts are. */
  run(): void {
    let admitted: Socket | Promise<Socket>;
    try {
      admitted = admitSocket(this.#realtime, this);
    } catch (error) {
      this.#refuse((error as GatewayError).failure);
      return;
    }
    if (!(admitted instanceof Promise)) this.#accept(admitted);
    else
      admitted
        .then(
          socket => this.#accept(socket),
          (error: GatewayError) => this.#refuse(error.failure),
        )
        .catch((error: unknown) => this.#realtime.logger?.error({ err: error }, "an upgrade failed"));
  }

  #accept(socket: Socket): void {
    const open = !this.#pending.over;
    if (open) {
      opened(this.#realtime);
      this.#pending.open(socket, this.request.protocol, this.guardResult.headers.filter(isWritable));
    } else abandoned(this.#realtime, socket);
    this.#report(open ? undefined : gatewayFailure("CLIENT_CLOSED", "the client has gone"), 0);
  }

  #refuse(failure: Failure): void {
    if (!this.#pending.over && this.#realtime.settings.closesRefused === true && this.#isHandshake()) {
      this.#pending.openAndClose(this.request.protocol, refusingCloseOf(failure));
      this.#report(failure, 0);
      return;
    }
    const more = [
      ...(this.#options.responseHeaders?.(this.request.header("origin")) ?? []),
      ...this.guardResult.headers,
    ];
    const refusal = refusalOf(failure, this.requestId, this.path, more);
    if (!this.#pending.over) this.#pending.refuse(refusal);
    this.#report(failure, Buffer.byteLength(refusal.body));
  }

  /** Other requests are refused by HTTP. */
  #isHandshake(): boolean {
    try {
      requireHandshake(name => this.request.header(name));
      return true;
    } catch {
      return false;
    }
  }

  #report(failure: Failure | undefined, bytes: number): void {
    const { path, requestId } = this;
    const { identity } = this.guardResult;
    const traceId = this.span?.traceId ?? traceIdOf(this.request.header("traceparent"));
    if (this.span !== undefined) this.#endSpan(this.span, failure);
    const seconds = (performance.now() - this.#started) / 1000;
    this.#options.finished?.({ path, requestId, traceId, identity, failure, seconds, bytes });
  }

  #endSpan(span: Span, failure: Failure | undefined): void {
    const status = failure?.httpStatus ?? 101;
    span.name = `GET ${this.#options.path}`;
    span.set("http.request.method", "GET");
    span.set("http.route", this.#options.path);
    span.set("http.response.status_code", status);
    span.set("protogate.request_id", this.requestId);
    if (failure !== undefined && status >= 500) span.fail(failure.reason, failure.message);
    else if (failure !== undefined) span.set("protogate.reason", failure.reason);
    span.end();
  }
}

/** The refusal of a WebSocket upgrade: the same body as the HTTP listener would send. */
export interface UpgradeRefusal {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: string;
}

function refusingCloseOf({ httpStatus, reason, retryAfter }: Failure): RefusingClose {
  const text = JSON.stringify({ reason, ...(retryAfter !== undefined && { retry_after: retryAfter }) });
  return {
    code: 4000 + httpStatus,
    // A backend may give a reason of its own, of any length.
    reason: Buffer.byteLength(text) <= maxCloseReason ? text : JSON.stringify({ reason: "REFUSED" }),
  };
}

const maxCloseReason = 123;

function refusalOf(failure: Failure, requestId: string, path: string, more: HeaderList): UpgradeRefusal {
  const { status, contentType, body } = statusDialect.renderFailure(failure, [], { requestId, path });
  const headers: [string, string][] = [
    ["content-type", contentType],
    ["x-request-id", requestId],
  ];
  if (failure.retryAfter !== undefined) headers.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of [...failure.headers, ...more]) headers.push([name, value]);
  return { status, headers: headers.filter(isWritable), body };
}

function isWritable([, value]: HeaderList[number]): boolean {
  return fieldValue.test(value);
}

/** Values that a header can carry as the engines write it, without line ends above all. */
const fieldValue = /^[\t\x20-\x7e]*$/;
