import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { statusDialect } from "../dialects/status.js";
import type { PeerAddresses } from "../net/peer-address.js";
import type { RenewableTls, ServerTls } from "../net/server-tls.js";
import type { UwsRoutes } from "../net/uws-addon.js";
import { type Failure, gatewayFailure } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import type { ClientSocketLimits } from "./client-socket.js";
import type { InboundRequest } from "./inbound-request.js";
import type { ResponseWriter } from "./response-writer.js";

/** See `EngineOptions.maxStreams`. */
export const defaultMaxStreams = 128;

/** See `EngineOptions.maxResets`. */
export const defaultMaxResets = 1000;

/** The value of a request header by lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

/** The functions of a uWebSockets.js engine for code attached to it. */
export interface UwsServer {
  readonly peers: PeerAddresses;
  /** Runs code that opens a socket, which must be within a cork, but not within that of its connection (`holdCork`). */
  cork(act: () => void): void;
  /** Handles a request like any other. */
  handle(response: HttpResponse, request: HttpRequest): void;
}

/** Which peers begin their connections with a header of the PROXY protocol. */
export interface ProxyProtocol {
  trusts(address: string): boolean;
  /** A connection was ended since its header did not come, or was none. */
  refused(): void;
}

/** The options of an engine. Sizes in bytes, times in milliseconds. */
export interface EngineOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls: ServerTls | undefined;
  /** HTTP/2 beside HTTP/1.1, where Node.js is the engine: by ALPN over TLS, by its preface in plain text. */
  readonly http2?: boolean;
  /** Streams that one HTTP/2 connection may have open at once. */
  readonly maxStreams?: number;
  /** Requests that a client may give up at once on one HTTP/2 connection, and a tenth of it more each second. */
  readonly maxResets?: number;
  /** Where Node.js is the engine; undefined: no connection begins with one. */
  readonly proxyProtocol?: ProxyProtocol | undefined;
  readonly headerLimit: number;
  /** For the whole request to arrive. */
  readonly requestTimeout: number;
  /** Is given every request that is accepted, and the response to it. */
  handle(request: InboundRequest, response: ResponseWriter): void;
  /**
   * Decides on a WebSocket upgrade, by the target of the GET, path and query, and its headers: a `socket` of the
   * gateway's own, or a `connection` that is handed over, where the engine can; undefined: the upgrade is ignored (RFC
   * 9110 §7.8).
   */
  upgrades?(target: string, header: HeaderReader): "socket" | "connection" | undefined;
  /** The limits of the sockets of such requests; without it there are none. */
  readonly sockets?: ClientSocketLimits;
  /** Puts more than requests on an app of uWebSockets.js, before it listens. */
  attach?(app: UwsRoutes, server: UwsServer): void;
  /**
   * Takes over a connection whose request is a WebSocket upgrade, where Node.js is the engine.
   * @param head the bytes that the client has sent after the request
   * @returns false where the request is served like any other
   */
  takeUpgrade?(request: IncomingMessage, socket: Socket, head: Buffer): boolean;
  /** A request was refused before it could become an exchange (malformed HTTP, too large headers, too slow). */
  refused(failure: Failure): void;
  /** The handling of a connection went wrong, which costs this connection alone. */
  crashed?(error: unknown): void;
}

export interface Engine extends RenewableTls {
  readonly port: number;
  /**
   * Stops accepting, then resolves when every connection is done.
   * @param sockets until it resolves, connections taken by `attach` stay open
   * @param lingerMs how long idle connections stay: a request may be on its way on one, and gets its response
   */
  close(sockets?: Promise<void>, lingerMs?: number): Promise<void>;
  /** Ends the connections that are left. */
  destroy(): void;
}

/** Room for the request target beside the header fields; longer targets are 414. */
export const targetLimit = 8192;

/** A request that is not an exchange: the reason to count, and the response before the connection ends. */
export interface Refusal {
  readonly failure: Failure;
  readonly body: string;
}

export function refusal(reason: Reason, message: string): Refusal {
  const failure = gatewayFailure(reason, message);
  return { failure, body: statusDialect.renderFailure(failure, [], { requestId: "", path: "" }).body };
}
