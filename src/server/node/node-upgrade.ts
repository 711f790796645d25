import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { HeaderList } from "../../net/headers.js";
import { loadWs } from "../../net/ws-parser.js";
import type { ClientSocket, ClientSocketListener } from "../client-socket.js";
import type { UpgradeRequest } from "../inbound-request.js";
import { isHeaderValue } from "../response-writer.js";
import { frameReceiver } from "./frame-connection.js";
import type { FrameConnections } from "./frame-connections.js";
import { NodeClientSocket } from "./node-client-socket.js";
import type { NodeConnection } from "./node-connections.js";

/** Bytes that are read of a client whose upgrade has no response yet. */
const maxEarlyBytes = 65_536;

/**
 * Whether a request is a WebSocket upgrade that can be served (RFC 6455 §4.1): with GET, and by HTTP/1.1, since
 * upgrades are ignored in HTTP/1.0 (RFC 9110 §7.8).
 */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  if (request.method !== "GET" || request.httpVersion !== "1.1") return false;
  const offered = request.headers.upgrade ?? "";
  return offered.split(",").some(protocol => protocol.trim().toLowerCase() === "websocket");
}

/**
 * Puts a request back before the following bytes of its connection, from which Node.js has removed its parser, to be
 * parsed again once no response before it is due. Node.js would else lose the bytes after a request whose upgrade is
 * ignored, and the order of the responses.
 * @param upgrade whether the request keeps its Upgrade header; without, it is an ordinary one (RFC 9110 §7.8)
 * @param parse gives the connection a new parser
 */
export function putBack(
  request: IncomingMessage,
  head: Buffer,
  upgrade: boolean,
  connection: NodeConnection,
  parse: () => void,
): void {
  request.socket.unshift(Buffer.concat([headOf(request, upgrade), head]));
  holdUntilIdle(request.socket, connection, parse);
}

/** @param act runs once no response is due, unless the connection ends with the last one */
export function holdUntilIdle(socket: Socket, connection: NodeConnection, act: () => void): void {
  const release = keepUnread(socket, connection);
  connection.whenIdle(() => {
    release();
    if (socket.writable) act();
  });
}

function headOf({ method, url, httpVersion, rawHeaders }: IncomingMessage, upgrade: boolean): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (upgrade || rawHeaders[index]?.toLowerCase() !== "upgrade")
      text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, "latin1");
}

/** Handles events for the responses that are due, as Node.js's parser did, and discards further bytes. */
function keepUnread(socket: Socket, connection: NodeConnection): () => void {
  // With this listener `resume`, which Node.js calls for the responses, does not discard the data.
  const unread = (): void => undefined;
  const drained = (): void => void connection.current?.notify("drain");
  const timedOut = (): void => {
    if (connection.current?.notify("timeout") !== true) socket.destroy();
  };
  socket.on("readable", unread);
  socket.on("drain", drained);
  socket.on("timeout", timedOut);
  return () => {
    socket.off("readable", unread);
    socket.off("drain", drained);
    socket.off("timeout", timedOut);
  };
}

/**
 * A request for a WebSocket on a path that takes some. Node.js has taken its parser off the connection, so that the
 * response is the last one on it.
 */
export class NodeUpgrade implements UpgradeRequest {
  readonly #request: IncomingMessage;
  readonly #socket: Socket;
  readonly #response: ServerResponse;
  readonly #sockets: FrameConnections;
  readonly #early: Buffer[];
  #size = 0;
  readonly #left: () => void;
  /** Handles timeouts as Node.js's parser did. */
  readonly #timedOut = (): void => {
    if (!this.#response.emit("timeout")) this.#socket.destroy();
  };
  readonly #read = (): void => {
    const chunk = this.#socket.read() as Buffer | null;
    if (chunk === null) return;
    this.#early.push(chunk);
    this.#size += chunk.length;
    if (this.#size > maxEarlyBytes) this.#socket.off("readable", this.#read);
  };

  /**
   * @param response assigned to the connection
   * @param sockets those of the listener
   * @param head the first bytes behind the request
   * @param left is called when the client has ended its side
   */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    sockets: FrameConnections,
    head: Buffer,
    left: () => void,
  ) {
    const { socket } = request;
    this.#request = request;
    this.#socket = socket;
    this.#response = response;
    this.#sockets = sockets;
    this.#early = [head];
    this.#left = left;
    socket.on("timeout", this.#timedOut);
  }

  watch(): void {
    // A connection that is not read does not report its end either.
    this.#socket.on("readable", this.#read);
    this.#socket.once("end", this.#left);
  }

  stopWatching(): void {
    this.#socket.off("readable", this.#read);
    this.#socket.off("end", this.#left);
  }

  accept(headers: HeaderList): Socket {
    this.stopWatching();
    this.#socket.off("timeout", this.#timedOut);
    this.#response.detachSocket(this.#socket);
    let text = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
    for (const [name, value] of headers) if (isHeaderValue(value)) text += `${name}: ${value}\r\n`;
    this.#socket.write(`${text}\r\n`, "latin1");
    const early = Buffer.concat(this.#early);
    if (early.length > 0) this.#socket.unshift(early);
    return this.#socket;
  }

  async open(
    headers: HeaderList,
    maxMessageBytes: number,
    opened: (socket: ClientSocket) => ClientSocketListener,
  ): Promise<boolean> {
    const ws = await loadWs();
    if (!this.#socket.writable) return false;
    const key = String(this.#request.headers["sec-websocket-key"]);
    const socket = this.accept([["sec-websocket-accept", acceptOf(key)], ...headers]);
    socket.setTimeout(0);
    socket.on("error", () => socket.destroy());
    const receiver = frameReceiver(ws, maxMessageBytes, undefined);
    new NodeClientSocket(this.#sockets, socket, receiver, opened).start(noBytes);
    return true;
  }
}

const noBytes = Buffer.alloc(0);

/** The proof that a handshake was read (RFC 6455 §4.2.2). */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
