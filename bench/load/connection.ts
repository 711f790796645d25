import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
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
  constructor(
    { port, encrypted }: { readonly port: number; readonly encrypted: boolean },
    next: () => Buffer,
    buffer: Buffer,
    listener: ConnectionListener,
  ) {
    this.#next = next;
    const take = (bytes: Buffer): void => {
      try {
        if (this.#reader.push(bytes)) listener.answered(this, this.#reader.status);
      } catch (error) {
        this.#socket.destroy(error as Error);
      }
    };
    const target = { host: "127.0.0.1", port, noDelay: true };
    if (encrypted) {
      this.#socket = connectTls({ ...target, rejectUnauthorized: false });
      this.#socket.on("data", take);
    } else {
      this.#socket = connect({
        ...target,
        // All connections read into one buffer: nothing is allocated for what comes in.
        onread: {
          buffer,
          callback: (length, bytes) => {
            take((bytes as Buffer).subarray(0, length));
            return true;
          },
        },
      });
    }
    this.#socket.once(encrypted ? "secureConnect" : "connect", () => listener.connected());
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
