import type { Socket } from "node:net";
import type { Http2Peer } from "./http2-exchange.js";
import { ServerConnection, type ServerConnectionOptions } from "./server-connection.js";

/** Milliseconds between two checks of the progress of clients. */
const checkIntervalMs = 1_000;

/** The open HTTP/2 connections of a listener. */
export class Http2Connections {
  readonly #connections = new Map<ServerConnection, Socket>();
  readonly #options: ServerConnectionOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ServerConnectionOptions) {
    this.#options = options;
  }

  /** @param head the bytes after the preface of the client */
  accept(socket: Socket, client: Http2Peer, head: Buffer): void {
    if (socket.destroyed) return;
    const connection = new ServerConnection(socket, client, this.#options);
    this.#connections.set(connection, socket);
    this.#timer ??= setInterval(() => this.#check(), checkIntervalMs).unref();
    socket.once("close", () => this.#forget(connection));
    if (head.length > 0) connection.onRead(head.length, head);
  }

  /** Lets the streams that are open end, and takes no more. */
  retire(): void {
    for (const connection of this.#connections.keys()) connection.retire();
  }

  destroy(): void {
    for (const socket of this.#connections.values()) socket.destroy();
  }

  #forget(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    const now = performance.now();
    for (const connection of this.#connections.keys()) connection.checkProgress(now);
  }
}
