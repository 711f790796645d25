import type { IncomingMessage } from "node:http";
import type { Socket as NetSocket } from "node:net";
import { type Deflate, loadWs, type Ws } from "../../net/ws-parser.js";
import { frameReceiver } from "../../server/node/frame-connection.js";
import { FrameConnections } from "../../server/node/frame-connections.js";
import { deflatedTextFrame, textFrame } from "../../server/node/server-frames.js";
import type { Realtime } from "../realtime.js";
import type { Publisher } from "../rooms/connection.js";
import { Socket } from "../rooms/socket.js";
import { Topics } from "../rooms/topics.js";
import { type ConnectionOwner, PortableConnection, RefusedConnection } from "./portable-connection.js";
import { type PortableOptions, PortableUpgrade } from "./portable-upgrade.js";
import { SocketEvents } from "./socket-events.js";
import { type RefusingClose, SocketUpgrade } from "./upgrade.js";

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
  readonly connections: FrameConnections;
  readonly topics = new Topics<PortableConnection>();
  readonly #ws: Ws;
  readonly #realtime: Realtime;
  readonly #options: PortableOptions;

  constructor(ws: Ws, realtime: Realtime, options: PortableOptions) {
    this.#ws = ws;
    this.#realtime = realtime;
    this.#options = options;
    this.events = new SocketEvents(realtime);
    this.connections = new FrameConnections(options.idleTimeout);
  }

  /**
   * Takes over a connection whose request is a WebSocket upgrade here.
   * @param head the bytes that the client has sent after the request
   * @returns false where it is not: nothing has been done then
   */
  take(request: IncomingMessage, net: NetSocket, head: Buffer): boolean {
    const { method, url = "", headers, httpVersion } = request;
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    // No upgrade counts by HTTP/1.0 (RFC 9110 section 7.8).
    if (method !== "GET" || path !== this.#options.path || httpVersion !== "1.1") return false;
    if (!/(?:^|,)\s*websocket\s*(?:,|$)/i.test(headers.upgrade ?? "")) return false;
    try {
      const opened = (admitted: Socket | RefusingClose, deflate: boolean): void => {
        if (admitted instanceof Socket) this.#open(admitted, net, deflate, head);
        else this.#openAndClose(admitted, net);
      };
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
    const members = this.topics.subscribersOf(topic);
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

  /** Ends the connections that are left. */
  destroy(): void {
    this.connections.destroy();
  }

  #openAndClose({ code, reason }: RefusingClose, net: NetSocket): void {
    const connection = new RefusedConnection(this.connections, net, frameReceiver(this.#ws, 125, undefined));
    // Frames behind the request need not be read: the close is the response to all of them.
    connection.start(Buffer.alloc(0));
    connection.end(code, reason);
  }

  #open(socket: Socket, net: NetSocket, compresses: boolean, head: Buffer): void {
    const { messageLimit: maxPayload } = this.#options;
    const { PerMessageDeflate } = this.#ws;
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
    const receiver = frameReceiver(this.#ws, maxPayload, deflate);
    const connection = new PortableConnection(this, socket, net, receiver, deflate);
    connection.start(head);
  }
}
