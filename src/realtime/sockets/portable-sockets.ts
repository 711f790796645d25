import type { IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import { type Deflate, loadWs, type Ws } from "../../net/ws-parser.js";
import type { Realtime } from "../realtime.js";
import type { Publisher, Socket } from "../rooms/socket.js";
import { type ConnectionOwner, PortableConnection } from "./portable-connection.js";
import { type PortableOptions, PortableUpgrade } from "./portable-upgrade.js";
import { deflatedTextFrame, textFrame } from "./server-frames.js";
import { SocketEvents } from "./socket-events.js";
import { SocketUpgrade } from "./upgrade.js";

const tickInterval = 1000;
/** Fewest pieces that a message may come in, whatever its limit, and the bytes of which each may be one. */
const minPieces = 1024;
const minPieceBytes = 64;

/** Takes WebSockets of `realtime` in by a server of Node.js. */
export async function acceptPortableSockets(
  realtime: Realtime,
  options: PortableOptions,
): Promise<PortableSockets> {
  const sockets = new PortableSockets(await loadWs(), realtime, options);
  realtime.attach(sockets);
  return sockets;
}

/** The sockets of one listener. */
export class PortableSockets implements Publisher, ConnectionOwner {
  readonly events: SocketEvents;
  now = performance.now();
  readonly #ws: Ws;
  readonly #realtime: Realtime;
  readonly #options: PortableOptions;
  /** Until the connection is gone. */
  readonly #connections = new Set<PortableConnection>();
  readonly #topics = new Map<string, Set<PortableConnection>>();
  readonly #timer: NodeJS.Timeout;
  #toFlush: PortableConnection[] = [];

  constructor(ws: Ws, realtime: Realtime, options: PortableOptions) {
    this.#ws = ws;
    this.#realtime = realtime;
    this.#options = options;
    this.events = new SocketEvents(realtime);
    this.#timer = setInterval(() => this.#tick(), tickInterval);
    this.#timer.unref();
  }

  /**
   * Takes over a connection whose request asks for a WebSocket here.
   * @param head what the client has sent behind it
   * @returns false where it does not: nothing has been done then
   */
  take(request: IncomingMessage, net: NetSocket, head: Buffer): boolean {
    const { method, url = "", headers, httpVersion } = request;
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    // No upgrade counts by HTTP/1.0 (RFC 9110 section 7.8).
    if (method !== "GET" || path !== this.#options.path || httpVersion !== "1.1") return false;
    if (!/(?:^|,)\s*websocket\s*(?:,|$)/i.test(headers.upgrade ?? "")) return false;
    try {
      const opened = (socket: Socket, deflate: boolean): void => this.#open(socket, net, deflate, head);
      new SocketUpgrade(
        this.#realtime,
        this.#options,
        new PortableUpgrade(this.#options, request, net, opened),
      ).run();
    } catch (error) {
      this.#realtime.logger?.error({ err: error }, "an upgrade failed");
      net.destroy();
    }
    return true;
  }

  publish(topic: string, text: string): void {
    const members = this.#topics.get(topic);
    if (members === undefined) return;
    const frame = textFrame(text);
    let deflated: Buffer | undefined;
    for (const member of members) {
      if (member.compresses) {
        deflated ??= deflatedTextFrame(frame);
        member.write(deflated);
      } else member.write(frame);
    }
  }

  subscribe(topic: string, connection: PortableConnection): void {
    let members = this.#topics.get(topic);
    if (members === undefined) {
      members = new Set();
      this.#topics.set(topic, members);
    }
    members.add(connection);
    connection.topics.add(topic);
  }

  unsubscribe(topic: string, connection: PortableConnection): boolean {
    if (!connection.topics.delete(topic)) return false;
    const members = this.#topics.get(topic);
    members?.delete(connection);
    if (members?.size === 0) this.#topics.delete(topic);
    return true;
  }

  flushLater(connection: PortableConnection): void {
    if (this.#toFlush.push(connection) > 1) return;
    setImmediate(() => {
      const all = this.#toFlush;
      this.#toFlush = [];
      for (const each of all) each.flush();
    });
  }

  removed(connection: PortableConnection): void {
    this.#connections.delete(connection);
  }

  /** Ends the connections that are left. */
  destroy(): void {
    clearInterval(this.#timer);
    for (const connection of [...this.#connections]) connection.close();
  }

  #open(socket: Socket, net: NetSocket, compresses: boolean, head: Buffer): void {
    const { messageLimit: maxPayload } = this.#options;
    const { Receiver, PerMessageDeflate } = this.#ws;
    let deflate: Deflate | undefined;
    if (compresses) {
      deflate = new PerMessageDeflate({
        isServer: true,
        maxPayload,
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
      });
      deflate.accept([{}]);
    }
    const maxPieces = Math.max(minPieces, Math.ceil(maxPayload / minPieceBytes));
    const receiver = new Receiver({
      isServer: true,
      maxPayload,
      maxFragments: maxPieces,
      maxBufferedChunks: maxPieces,
      extensions: deflate === undefined ? {} : { "permessage-deflate": deflate },
    });
    const connection = new PortableConnection(this, socket, net, receiver, deflate);
    this.#connections.add(connection);
    connection.start(head);
  }

  #tick(): void {
    const now = performance.now();
    this.now = now;
    const { idleTimeout } = this.#options;
    const asked = idleTimeout - pingTime(idleTimeout);
    for (const connection of this.#connections) {
      const silent = now - connection.heard;
      if (silent >= idleTimeout || connection.isOverdue(now)) connection.close();
      else if (silent >= asked && !connection.pinged) connection.ping();
    }
  }
}

/** Milliseconds that a client has for its pong. */
function pingTime(idleTimeout: number): number {
  return Math.min(16_000, idleTimeout / 2);
}
