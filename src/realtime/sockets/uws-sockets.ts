import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from "uWebSockets.js";
import type { Caller } from "../../auth/caller.js";
import { clientAddress } from "../../net/forwarded-list.js";
import { type UwsRoutes, uwsIdleTimeout } from "../../net/uws-addon.js";
import type { HeaderReader, UwsServer } from "../../server/engine.js";
import { headersOf } from "../../server/uws/request-head.js";
import { ResponseHeadWriter } from "../../server/uws/response-head.js";
import type { Realtime } from "../realtime.js";
import type { Socket } from "../rooms/socket.js";
import { SocketEvents } from "./socket-events.js";
import {
  type PendingUpgrade,
  type RefusingClose,
  SocketUpgrade,
  type SocketUpgradeOptions,
  type UpgradeRefusal,
} from "./upgrade.js";

/** How sockets come in by an app of uWebSockets.js. */
export interface UwsSocketOptions extends SocketUpgradeOptions {
  readonly server: UwsServer;
  /** Whether sockets are served at the requested host; other requests are handled like any other. */
  serves?(header: HeaderReader): boolean;
}

/** The data that uWebSockets.js keeps with a WebSocket. */
interface SocketData {
  /** Undefined where it was refused, and is closed as soon as it is open. */
  readonly socket: Socket | undefined;
  readonly close?: RefusingClose;
}

/** `uWS.SHARED_COMPRESSOR`, without a window for each socket. */
const sharedCompressor = 1;

/** Accepts WebSockets of `realtime` on that app. Refusals are HTTP responses, before the upgrade. */
export function acceptUwsSockets(app: UwsRoutes, realtime: Realtime, options: UwsSocketOptions): void {
  const { messageLimit, deflate } = options;
  const events = new SocketEvents(realtime);
  app.ws<SocketData>(options.path, {
    // The addon ends the connection without a code; up to that it is for the gateway to close it with one.
    maxPayloadLength: 2 * messageLimit,
    idleTimeout: uwsIdleTimeout(options.idleTimeout),
    compression: deflate ? sharedCompressor : 0,
    // The backlog of a socket is bounded by `SlowConsumers`; uWebSockets.js would drop frames without a report.
    maxBackpressure: 0,
    sendPingsAutomatically: true,
    upgrade: (response, request, context) => {
      try {
        if (options.serves?.(name => request.getHeader(name)) === false) {
          options.server.handle(response, request);
          return;
        }
        new SocketUpgrade(realtime, options, new UwsUpgrade(options, response, request, context)).run();
      } catch (error) {
        // It would end the process.
        realtime.logger?.error({ err: error }, "an upgrade failed");
      }
    },
    open: ws => {
      const { socket, close } = ws.getUserData();
      if (socket !== undefined) events.opened(socket, ws);
      else ws.end(close?.code, close?.reason);
    },
    message: ofSocket((socket, message: ArrayBuffer, isBinary: boolean) => {
      const { byteLength } = message;
      if (byteLength > messageLimit) events.tooLarge(socket);
      else if (isBinary) events.binary(socket, byteLength);
      else events.text(socket, textOf(message), byteLength);
    }),
    // Its pong is on its way already.
    ping: ofSocket(socket => events.ping(socket)),
    pong: ofSocket(socket => events.pong(socket)),
    drain: ofSocket(socket => events.drained(socket)),
    close: ofSocket((socket, code: number) => events.closed(socket, code)),
  });
  realtime.attach({ publish: (topic, text) => app.publish(topic, text, false, deflate) });
}

/** A handler of the addon that does nothing for those that were refused. */
function ofSocket<T extends unknown[]>(handle: (socket: Socket, ...event: T) => void) {
  return (ws: WebSocket<SocketData>, ...event: T): void => {
    const { socket } = ws.getUserData();
    if (socket !== undefined) handle(socket, ...event);
  };
}

function textOf(message: ArrayBuffer): string {
  return Buffer.from(message).toString("utf8");
}

const heads = new ResponseHeadWriter();

class UwsUpgrade implements PendingUpgrade {
  readonly path: string;
  readonly caller: Caller;
  over = false;
  readonly #options: UwsSocketOptions;
  readonly #response: HttpResponse;
  readonly #context: us_socket_context_t;

  constructor(
    options: UwsSocketOptions,
    response: HttpResponse,
    request: HttpRequest,
    context: us_socket_context_t,
  ) {
    this.#options = options;
    this.#response = response;
    this.#context = context;
    response.onAborted(() => {
      this.over = true;
    });
    this.path = request.getUrl();
    const headers = headersOf(request);
    const header = (name: string): string | undefined => headers.get(name);
    const { server, trustedHops, encrypted } = options;
    this.caller = {
      clientAddress: clientAddress(server.peers.addressOf(response), header("x-forwarded-for"), trustedHops),
      method: "GET",
      path: this.path,
      query: request.getQuery() ?? "",
      encrypted,
      header,
      cookies: () => header("cookie"),
      certificate: () => undefined,
    };
  }

  open(socket: Socket, protocol: string, headers: UpgradeRefusal["headers"]): void {
    this.#upgrade({ socket }, protocol, headers);
  }

  openAndClose(protocol: string, close: RefusingClose): void {
    this.#upgrade({ socket: undefined, close }, protocol, []);
  }

  #upgrade(data: SocketData, protocol: string, headers: UpgradeRefusal["headers"]): void {
    const { header } = this.caller;
    this.over = true;
    this.#options.server.cork(() => {
      if (headers.length > 0) {
        heads.begin(101);
        for (const [name, value] of headers) heads.field(name, value);
        this.#response.writeStatus(heads.head);
      }
      this.#response.upgrade<SocketData>(
        data,
        header("sec-websocket-key") ?? "",
        protocol,
        header("sec-websocket-extensions") ?? "",
        this.#context,
      );
    });
  }

  refuse({ status, headers, body }: UpgradeRefusal): void {
    const response = this.#response;
    this.over = true;
    heads.begin(status);
    for (const [name, value] of headers) heads.field(name, value);
    response.cork(() => response.writeStatus(heads.head).end(body, true));
  }
}
