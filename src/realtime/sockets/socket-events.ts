import { CloseCode } from "../chat/close-code.js";
import type { Connection } from "../rooms/connection.js";
import { pingReceived, pongReceived } from "./control-frames.js";
import type { Realtime } from "../realtime.js";
import type { Socket } from "../rooms/socket.js";

/** What happens on open sockets, whichever engine tells it. Nothing is thrown: it could end the process. */
export class SocketEvents {
  readonly #realtime: Realtime;

  constructor(realtime: Realtime) {
    this.#realtime = realtime;
  }

  opened(socket: Socket, connection: Connection): void {
    this.#guarded(() => {
      const { sockets, draining } = this.#realtime;
      socket.connection = connection;
      sockets.open.add(socket);
      // It was being upgraded when the gateway began to shut down.
      if (draining) sockets.open.end(socket, CloseCode.restart, '{"reason":"SHUTTING_DOWN","retry_after":1}');
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
    this.#guarded(() => this.#realtime.sockets.open.end(socket, CloseCode.tooLarge, tooLargeReason));
  }

  /** @returns whether it gets a pong */
  ping(socket: Socket): boolean {
    return this.#guarded(() => pingReceived(this.#realtime, socket)) === true;
  }

  pong(socket: Socket): void {
    this.#guarded(() => pongReceived(this.#realtime, socket));
  }

  /** The client has read some of what waited for it. */
  drained(socket: Socket): void {
    this.#guarded(() => {
      this.#realtime.sockets.drained(socket);
      if (!socket.closed) this.#realtime.settings.bridge?.drained(socket);
    });
  }

  /** The connection is over, or of no use to the gateway any more. */
  closed(socket: Socket, code: number): void {
    this.#guarded(() => {
      socket.gone();
      this.#realtime.metrics.closed(code);
      for (const release of socket.releases) release();
      this.#realtime.chat.closed(socket, code);
    });
  }

  #guarded<T>(handle: () => T): T | undefined {
    try {
      return handle();
    } catch (error) {
      this.#realtime.logger?.error({ err: error }, "what happened on a WebSocket could not be processed");
      return undefined;
    }
  }
}

export const tooLargeReason = '{"reason":"MESSAGE_TOO_LARGE"}';
