import { createHash } from "node:crypto";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket as NetSocket } from "node:net";
import type { Caller, ClientCertificate } from "../../auth/caller.js";
import { clientAddress } from "../../net/client-address.js";
import { plainAddress } from "../../net/peer-address.js";
import { acceptDeflate } from "./deflate-offer.js";
import type { Refusal } from "./refusal.js";
import type { Socket } from "../rooms/socket.js";
import type { PendingUpgrade, UpgradeOptions } from "./upgrade.js";

/** How sockets come in by a server of Node.js. */
export interface PortableOptions extends UpgradeOptions {
  /** What the client of a connection has proved; absent where certificates are not asked for. */
  certificateOf?(net: NetSocket): ClientCertificate | undefined;
}

/** Milliseconds that a client has to read a refusal and end its side. */
const refusalTimeout = 5000;

/** A request for a WebSocket that Node.js has read. */
export class PortableUpgrade implements PendingUpgrade {
  readonly path: string;
  readonly caller: Caller;
  readonly #options: PortableOptions;
  readonly #net: NetSocket;
  readonly #opened: (socket: Socket, deflate: boolean) => void;
  #over = false;

  /** @param opened the response is out: frames follow. `deflate` where messages may be compressed */
  constructor(
    options: PortableOptions,
    request: IncomingMessage,
    net: NetSocket,
    opened: (socket: Socket, deflate: boolean) => void,
  ) {
    const { url = "", headers } = request;
    const mark = url.indexOf("?");
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    };
    const peer = plainAddress(net.remoteAddress ?? "");
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.caller = {
      clientAddress: clientAddress(peer, header("x-forwarded-for"), options.trustedHops),
      query: mark < 0 ? "" : url.slice(mark + 1),
      encrypted: options.encrypted,
      header,
      cookies: () => header("cookie"),
      certificate: () => options.certificateOf?.(net),
    };
    this.#options = options;
    this.#net = net;
    this.#opened = opened;
    net.setTimeout(0);
    net.on("error", () => net.destroy());
  }

  get over(): boolean {
    return this.#over || !this.#net.writable;
  }

  open(socket: Socket, protocol: string): void {
    this.#over = true;
    const { header } = this.caller;
    const deflate = this.#options.deflate ? acceptDeflate(header("sec-websocket-extensions")) : undefined;
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "upgrade: websocket",
      "connection: Upgrade",
      `sec-websocket-accept: ${acceptOf(header("sec-websocket-key") ?? "")}`,
    ];
    if (protocol !== "") lines.push(`sec-websocket-protocol: ${protocol}`);
    if (deflate !== undefined) lines.push(`sec-websocket-extensions: ${deflate.response}`);
    this.#net.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    this.#opened(socket, deflate !== undefined);
  }

  refuse({ status, headers, body }: Refusal): void {
    this.#over = true;
    const net = this.#net;
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}`, "connection: close"];
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    lines.push(`content-length: ${Buffer.byteLength(body)}`);
    net.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
    // What is left unread would reset the connection, and the client might lose the response.
    net.resume();
    net.setTimeout(refusalTimeout, () => net.destroy());
    net.once("end", () => net.destroy());
  }
}

/** RFC 6455 section 4.2.2. */
function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
