import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import { type UwsRoutes, uwsIdleTimeout } from "../../net/uws-addon.js";
import {
  type ClientSocket,
  type ClientSocketLimits,
  type ClientSocketListener,
  maxUnreadPings,
} from "../client-socket.js";

/** The data that uWebSockets.js keeps with a socket. */
export interface UwsSocketData {
  readonly socket: UwsClientSocket;
}

/** Milliseconds between pings to a client that is not read: one that cannot be delivered shows that it has gone. */
const pausedPingMs = 1000;
/** Milliseconds for which an ended socket counts as open: its last frames may still be on their way. */
const closeGraceMs = 1000;

/**
 * Has an app take every request that is a handshake for a WebSocket, on any path.
 * @param handle called with the requests; others go on to the next handler of the app
 */
export function takeHandshakes(
  app: UwsRoutes,
  { maxMessageBytes, idleTimeoutMs }: ClientSocketLimits,
  handle: (response: HttpResponse, request: HttpRequest, context: us_socket_context_t) => void,
): void {
  app.ws<UwsSocketData>("/*", {
    maxPayloadLength: maxMessageBytes,
    idleTimeout: uwsIdleTimeout(idleTimeoutMs),
    compression: 0,
    // The writer bounds the waiting bytes; uWebSockets.js would drop them without a report.
    maxBackpressure: 0,
    sendPingsAutomatically: true,
    upgrade: handle,
    open: ws => ws.getUserData().socket.opened(ws),
    message: (ws, message, isBinary) => ws.getUserData().socket.received(message, isBinary),
    ping: ws => ws.getUserData().socket.pinged(),
    drain: ws => ws.getUserData().socket.drained(),
    close: (ws, code) => ws.getUserData().socket.closed(code),
  });
}

/** Methods of a response that still work on its connection after the upgrade. */
export type Reading = Pick<HttpResponse, "pause" | "resume">;

/** The socket of a client over uWebSockets.js, which must not be touched after its close event. */
export class UwsClientSocket implements ClientSocket {
  readonly #maxMessageBytes: number;
  readonly #listenerOf: (socket: ClientSocket) => ClientSocketListener;
  readonly #over: () => void;
  /**
   * Methods of the response that became the socket. The addon has none for sockets, but these act on the
   * connection, even after the upgrade.
   */
  readonly #reading: Reading;
  /** Undefined before it is open and after its close event. */
  #ws: WebSocket<UwsSocketData> | undefined;
  #listener: ClientSocketListener | undefined;
  /** Nothing more is sent, and nothing that comes is of interest. */
  #ended = false;
  #pausedPing: NodeJS.Timeout | undefined;
  /** Since the client has last read all. */
  #pings = 0;

  /** @param over is called when the connection is over */
  constructor(
    maxMessageBytes: number,
    reading: Reading,
    opened: (socket: ClientSocket) => ClientSocketListener,
    over: () => void,
  ) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#reading = reading;
    this.#listenerOf = opened;
    this.#over = over;
  }

  opened(ws: WebSocket<UwsSocketData>): void {
    this.#ws = ws;
    this.#listener = this.#listenerOf(this);
  }

  get bufferedBytes(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  sendText(text: string): void {
    if (!this.#ended) this.#ws?.send(text, false);
  }

  sendBinary(bytes: Uint8Array): void {
    if (!this.#ended) this.#ws?.send(bytes, true);
  }

  pause(): void {
    if (this.#ws === undefined || this.#ended || this.#pausedPing !== undefined) return;
    this.#reading.pause.call(this.#ws as never);
    this.#pausedPing = setInterval(() => this.#ws?.ping(), pausedPingMs);
  }

  resume(): void {
    if (this.#pausedPing === undefined) return;
    clearInterval(this.#pausedPing);
    this.#pausedPing = undefined;
    if (this.#ws !== undefined) this.#reading.resume.call(this.#ws as never);
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.resume();
    this.#ws?.end(code, reason);
  }

  received(message: ArrayBuffer, isBinary: boolean): void {
    if (this.#ended) return;
    // Writing while paused may make the addon read again.
    if (this.#pausedPing !== undefined) this.#reading.pause.call(this.#ws as never);
    if (message.byteLength > this.#maxMessageBytes) this.#listener?.broken(1009);
    else this.#listener?.received(Buffer.copyBytesFrom(new Uint8Array(message)), isBinary);
  }

  /** Its pong is on its way already. */
  pinged(): void {
    if (this.bufferedBytes === 0) this.#pings = 0;
    else if (++this.#pings > maxUnreadPings) this.#ws?.close();
  }

  drained(): void {
    if (!this.#ended) this.#listener?.drained();
  }

  closed(code: number): void {
    this.#ws = undefined;
    this.resume();
    if (this.#ended) {
      setTimeout(this.#over, closeGraceMs);
      return;
    }
    this.#ended = true;
    this.#listener?.left(code);
    this.#over();
  }
}
