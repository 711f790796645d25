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
  readonly #patience: number;
  readonly #waiting = new Map<string, { readonly socket: Socket; readonly timer: NodeJS.Timeout }>();

  /** @param patience milliseconds that a socket waits */
  constructor(realtime: Realtime, patience: number) {
    this.#realtime = realtime;
    this.#patience = patience;
  }

  /** @returns the ticket */
  keep(socket: Socket): string {
    const ticket = randomBytes(18).toString("base64url");
    const timer = setTimeout(() => {
      this.#waiting.delete(ticket);
      abandoned(this.#realtime, socket);
    }, this.#patience);
    timer.unref();
    this.#waiting.set(ticket, { socket, timer });
    return ticket;
  }

  take(ticket: string | undefined): Socket | undefined {
    const found = ticket === undefined ? undefined : this.#waiting.get(ticket);
    if (found === undefined) return undefined;
    clearTimeout(found.timer);
    this.#waiting.delete(ticket as string);
    return found.socket;
  }
}
