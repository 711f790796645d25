import { randomBytes } from "node:crypto";
import { abandoned } from "./admission.js";
import type { Realtime } from "./realtime.js";
import type { Socket } from "./socket.js";

/** Names the ticket on the way from the HTTP port to the listener of the sockets. */
export const relayHeader = "x-protogate-relay";

/**
 * Sockets that the HTTP port has admitted, until its own proxy comes for them to the listener that opens them. A ticket
 * cannot be guessed and is good for one socket.
 */
export class SocketRelay {
  readonly #realtime: Realtime;
  readonly #waiting = new Map<string, Socket>();

  constructor(realtime: Realtime) {
    this.#realtime = realtime;
  }

  /** @returns the ticket, which must be dropped in the end */
  keep(socket: Socket): string {
    const ticket = randomBytes(18).toString("base64url");
    this.#waiting.set(ticket, socket);
    return ticket;
  }

  /** The socket of the ticket is being opened; undefined where there is none. */
  take(ticket: string | undefined): Socket | undefined {
    if (ticket === undefined) return undefined;
    const socket = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    return socket;
  }

  /** The HTTP port is done with the request: where nobody has come for its socket, nobody will. */
  drop(ticket: string): void {
    const socket = this.take(ticket);
    if (socket !== undefined) abandoned(this.#realtime, socket);
  }
}
