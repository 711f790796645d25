import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { plainAddress } from "../../net/peer-address.js";
import { readProxyHeader } from "../../net/proxy-header.js";
import type { ProxyProtocol } from "../engine.js";

/**
 * Reads the headers of the PROXY protocol with which proxies begin their connections, before TLS and HTTP. From then on
 * `remoteAddress` of a connection is the client's.
 */
export class ProxyHeaders {
  readonly #options: ProxyProtocol;
  readonly #timeoutMs: number;
  /** Connections whose header is not complete. */
  readonly #waiting = new Set<Socket>();
  /** Client addresses by the key of the connection: a TLS socket does not reveal its underlying one. */
  readonly #clients = new Map<string, string>();

  /** @param timeoutMs for a header to arrive */
  constructor(options: ProxyProtocol, timeoutMs: number) {
    this.#options = options;
    this.#timeoutMs = timeoutMs;
  }

  /** Before the server listens, and after everything else that takes its connections. */
  putBefore(server: Server, encrypted: boolean): void {
    const accept = server.listeners("connection");
    server.removeAllListeners("connection");
    server.on("connection", (socket: Socket) => {
      const pass = (): void => {
        for (const each of accept) each.call(server, socket);
      };
      if (this.#options.trusts(plainAddress(socket.remoteAddress ?? ""))) this.#read(socket, pass, encrypted);
      else pass();
    });
    if (!encrypted) return;
    server.prependListener("secureConnection", (socket: TLSSocket) => {
      const client = this.#clients.get(keyOf(socket));
      if (client !== undefined) setClient(socket, client);
    });
  }

  /** Ends the connections that have sent no header yet. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #read(socket: Socket, pass: () => void, encrypted: boolean): void {
    let seen: Buffer = Buffer.alloc(0);
    this.#waiting.add(socket);
    const refuse = (): void => {
      this.#options.refused();
      socket.destroy();
    };
    // A client that connects and sends nothing, as health checks do, is no error.
    const ended = (): void => {
      if (seen.length > 0) refuse();
      else socket.destroy();
    };
    const timer = setTimeout(refuse, this.#timeoutMs).unref();
    const read = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const header = readProxyHeader(seen);
      if (header.kind === "incomplete") return;
      stop();
      if (header.kind === "malformed") {
        refuse();
        return;
      }
      if (header.source !== undefined) this.#know(socket, header.source, encrypted);
      if (seen.length > header.length) socket.unshift(seen.subarray(header.length));
      pass();
    };
    const stop = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.off("readable", read);
      socket.off("end", ended);
      socket.off("close", stop);
    };
    socket.on("error", () => undefined);
    socket.on("readable", read);
    socket.once("end", ended);
    socket.once("close", stop);
  }

  #know(socket: Socket, client: string, encrypted: boolean): void {
    if (encrypted) {
      const key = keyOf(socket);
      this.#clients.set(key, client);
      socket.once("close", () => this.#clients.delete(key));
    }
    setClient(socket, client);
  }
}

function keyOf({ localAddress, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${remoteAddress} ${remotePort}`;
}

function setClient(socket: Socket, address: string): void {
  Object.defineProperty(socket, "remoteAddress", { value: address, configurable: true });
}
