import type { Socket } from "node:net";
import type { NodeExchange } from "./node-exchange.js";

/** Most requests of one connection that may be under way at once (pipelining, RFC 9112 §9.3.2). */
export const maxPipelined = 100;

/** The open connections of a listener and what is under way on each. */
export class NodeConnections {
  readonly #exchanges = new Map<Socket, Set<NodeExchange>>();

  opened(socket: Socket): void {
    const exchanges = new Set<NodeExchange>();
    this.#exchanges.set(socket, exchanges);
    socket.once("close", () => {
      this.#exchanges.delete(socket);
      // Node.js tells only the response that is being written that its peer is gone.
      for (const exchange of exchanges) exchange.cancellation.cancel();
    });
  }

  /** @returns what is under way on the connection; the caller adds and removes its exchange */
  of(socket: Socket): Set<NodeExchange> {
    let exchanges = this.#exchanges.get(socket);
    if (exchanges === undefined) {
      this.opened(socket);
      exchanges = this.#exchanges.get(socket) as Set<NodeExchange>;
    }
    return exchanges;
  }

  /** Somebody else has the connection now. */
  release(socket: Socket): void {
    this.#exchanges.delete(socket);
  }

  /** Ends the connections on which no request has arrived whole; nothing is lost with them. */
  endIdle(): void {
    for (const [socket, exchanges] of this.#exchanges) if (exchanges.size === 0) socket.destroy();
  }
}
