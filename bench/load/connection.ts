import { connect, type Socket } from "node:net";
import { ResponseReader } from "./response-reader.js";

/** Hears of one connection. */
export interface ConnectionListener {
  connected(): void;
  /** The response to `send` is complete. */
  answered(connection: Connection, status: number): void;
  /** It broke; nothing more comes. */
  broken(error: Error): void;
}

/** One keep-alive connection without any HTTP library: prepared requests are written, the response's end is found. */
export class Connection {
  /** When the request under way was due, ms. */
  dueAt = 0;
  readonly #socket: Socket;
  readonly #reader = new ResponseReader();
  readonly #next: () => Buffer;

  /** @param next the request to send */
  constructor(port: number, next: () => Buffer, buffer: Buffer, listener: ConnectionListener) {
    this.#next = next;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      // All connections read into one buffer: nothing is allocated for what comes in.
      onread: {
        buffer,
        callback: (length, bytes) => {
          try {
            if (this.#reader.push((bytes as Buffer).subarray(0, length)))
              listener.answered(this, this.#reader.status);
          } catch (error) {
            this.#socket.destroy(error as Error);
          }
          return true;
        },
      },
    });
    this.#socket.once("connect", () => listener.connected());
    this.#socket.once("error", error => listener.broken(error));
    this.#socket.once("end", () => listener.broken(new Error("the server closed a connection")));
  }

  get bodyBytes(): number {
    return this.#reader.bodyBytes;
  }

  send(dueAt: number): void {
    this.dueAt = dueAt;
    this.#socket.write(this.#next());
  }

  close(): void {
    this.#socket.destroy();
  }
}
