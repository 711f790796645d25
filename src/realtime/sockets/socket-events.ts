import { CloseCode } from "../chat/frames.js";
import type { Realtime } from "../realtime.js";
import type { Connection } from "../rooms/connection.js";
import { type Socket, SocketState } from "../rooms/socket.js";

/** The events of open sockets, on whichever engine. Nothing is thrown: it could end the process. */
export class SocketEvents {
  readonly #realtime: Realtime;

  constructor(realtime: Realtime) {
    this.#realtime = realtime;
  }

  opened(socket: Socket, connection: Connection): void {
    this.#guarded(() => {
      const { local: sockets, draining, chat } = this.#realtime;
      socket.open(connection);
      sockets.open.add(socket);
      // It was being upgraded when the gateway began to shut down.
      if (draining) sockets.open.end(socket, CloseCode.restart, '{"reason":"SHUTTING_DOWN","retry_after":1}');
      else chat.opened(socket);
    });
  }

  /** @param bytes of the text in UTF-8 */
  text(socket: Socket, text: string, bytes: number): void {
    this.#guarded(() => this.#realtime.chat.receive(socket, text, bytes));
  }

  binary(socket: Socket, bytes: number): void {
    this.#guarded(() => this.#realtime.chat.binary(socket, bytes));
  }

  /** A message is larger than the limit. */
  tooLarge(socket: Socket): void {
    this.#guarded(() => this.#realtime.local.open.end(socket, CloseCode.tooLarge, tooLargeReason));
  }

  /** @returns whether it gets a pong */
  ping(socket: Socket): boolean {
    return this.#guarded(() => pingReceived(this.#realtime, socket)) === true;
  }

  pong(socket: Socket): void {
    this.#guarded(() => pongReceived(this.#realtime, socket));
  }

  /** The client has read some of the waiting bytes. */
  drained(socket: Socket): void {
    this.#guarded(() => {
      this.#realtime.local.drained(socket);
      if (!socket.closed) this.#realtime.settings.bridge?.drained(socket);
    });
  }

  /** The connection is over, or of no use to the gateway any more. */
  closed(socket: Socket, code: number): void {
    this.#guarded(() => {
      socket.close();
      this.#realtime.metrics.closed(code);
      for (const release of socket.releases) release();
      this.#realtime.chat.closed(socket, code);
    });
  }

  #guarded<T>(handle: () => T): T | undefined {
    try {
      return handle();
    } catch (error) {
      this.#realtime.logger?.error({ err: error }, "WebSocket event handler failed");
      return undefined;
    }
  }
}

export const tooLargeReason = '{"reason":"MESSAGE_TOO_LARGE"}';

/**
 * A client has sent a ping. It counts as any other frame does, since its pong waits for the client like other frames.
 * @returns whether it gets a pong, where that is for the gateway to decide
 */
function pingReceived({ chat, local: sockets }: Realtime, socket: Socket): boolean {
  const now = performance.now();
  if (socket.state === SocketState.Closing) {
    // A client that reads its frames has no reason to send many pings meanwhile.
    if (socket.strike(now)) endNow(socket);
    return false;
  }
  if (!socket.admits(now, chat.options.rate)) {
    sockets.metrics.dropped.rate_limited.inc();
    if (socket.strike(now)) flooded({ local: sockets }, socket);
    return false;
  }
  if (socket.buffered <= sockets.sendLimit) return true;
  sockets.tooSlow(socket);
  return false;
}

/** A pong costs a strike, with or without a ping: the gateway sends far fewer pings than the client has strikes. */
function pongReceived({ local: sockets }: Realtime, socket: Socket): void {
  if (!socket.strike(performance.now())) return;
  if (socket.state === SocketState.Closing) endNow(socket);
  else flooded({ local: sockets }, socket);
}

function flooded({ local: sockets }: Pick<Realtime, "local">, socket: Socket): void {
  sockets.open.end(socket, CloseCode.flood, '{"reason":"RATE_LIMITED"}');
}

/** Without waiting for the client to read: every frame that it sends until then could make it wait for more. */
function endNow(socket: Socket): void {
  const { pendingClose: ending } = socket;
  if (ending !== undefined) socket.end(ending.code, ending.reason);
}
