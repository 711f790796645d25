import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { Caller } from "../auth/caller.js";
import type { Passage } from "../bindings/guard.js";
import { clientAddress } from "../net/client-address.js";
import type { PeerAddresses } from "../net/peer-address.js";
import type { UwsApp } from "../net/uws-addon.js";
import { type Failure, type GatewayError, gatewayFailure } from "../status/failure.js";
import { requestIdOf } from "../telemetry/request-id.js";
import { type Applicant, abandoned, admitSocket, opened } from "./admission.js";
import { CloseCode } from "./close-code.js";
import { type Answerable, answerable, answerFailure, type MoreHeaders } from "./http-answer.js";
import type { Realtime } from "./realtime.js";
import { relayHeader, type SocketRelay } from "./relay.js";
import type { Socket, SocketData } from "./socket.js";
import { UpgradeRequest } from "./upgrade-request.js";

/** How sockets come in by an app of uWebSockets.js. */
export interface UpgradeOptions {
  /** Such as `/ws`; `/` for the root. */
  readonly path: string;
  readonly encrypted: boolean;
  /** Largest message that is read, bytes; a larger one ends its socket. */
  readonly messageLimit: number;
  /** A client that says nothing for so long, pings unanswered too, is gone; milliseconds from 8000 to 960000. */
  readonly idleTimeout: number;
  /** Compresses messages, at the price of CPU and memory for each socket. */
  readonly deflate: boolean;
  readonly peers: PeerAddresses;
  /** Runs what opens a socket, which must be within a cork, but not within that of its connection (`holdCork`). */
  cork(open: () => void): void;
  /** How many proxies in front may be believed. */
  readonly trustedHops: number;
  /** Sockets that have been admitted elsewhere. */
  readonly relay?: SocketRelay;
  /** What refusals carry beside their own headers. @param origin the Origin header */
  replyHeaders?(origin: string | undefined): MoreHeaders;
  /** A request that nobody else has answered is over. */
  answered?(upgrade: AnsweredUpgrade): void;
}

/** What became of a request for a WebSocket. */
export interface AnsweredUpgrade {
  readonly path: string;
  readonly requestId: string;
  /** Undefined where the socket is open. */
  readonly failure: Failure | undefined;
  /** Until the answer. */
  readonly seconds: number;
  /** Of the answer's body. */
  readonly bytes: number;
}

/** `uWS.SHARED_COMPRESSOR`, without a window for each socket. */
const sharedCompressor = 1;

/** Takes WebSockets of `realtime` in by that app. Whatever is refused is answered as HTTP, before the upgrade. */
export function acceptUpgrades(app: UwsApp, realtime: Realtime, options: UpgradeOptions): void {
  const { chat, sockets: hub, metrics, logger } = realtime;
  app.ws<SocketData>(options.path, {
    maxPayloadLength: options.messageLimit,
    idleTimeout: Math.ceil(options.idleTimeout / 1000),
    compression: options.deflate ? sharedCompressor : 0,
    // What a socket is behind is bounded by `SlowConsumers`; uWebSockets.js would drop without telling whom.
    maxBackpressure: 0,
    sendPingsAutomatically: true,
    upgrade: (response, request, context) =>
      guarded(() => new Upgrade(realtime, options, response, request, context).run()),
    open: ws =>
      guarded(() => {
        const { socket } = ws.getUserData();
        socket.ws = ws;
        hub.open.add(socket);
        // It was being upgraded when the gateway began to shut down.
        if (realtime.draining)
          hub.open.end(socket, CloseCode.restart, '{"reason":"SHUTTING_DOWN","retry_after":1}');
      }),
    message: (ws, message, isBinary) =>
      guarded(() => {
        const { socket } = ws.getUserData();
        if (isBinary) chat.binary(socket, message.byteLength);
        else chat.receive(socket, textOf(message), message.byteLength);
      }),
    drain: ws =>
      guarded(() => {
        const { socket } = ws.getUserData();
        hub.drained(socket);
        if (!socket.closed) realtime.settings.bridge?.drained(socket);
      }),
    close: (ws, code) =>
      guarded(() => {
        const { socket } = ws.getUserData();
        socket.gone();
        metrics.closed(code);
        for (const release of socket.releases) release();
        chat.closed(socket, code);
      }),
  });
  realtime.attach(app, options.deflate);

  /** What a handler of uWebSockets.js throws would end the process. */
  function guarded(handle: () => void): void {
    try {
      handle();
    } catch (error) {
      logger?.error({ err: error }, "what happened on a WebSocket could not be processed");
    }
  }
}

function textOf(message: ArrayBuffer): string {
  return Buffer.from(message).toString("utf8");
}

/** One request for a WebSocket, from its head to the open socket or to the answer that says why not. */
class Upgrade implements Applicant {
  readonly request: UpgradeRequest;
  readonly path: string;
  readonly requestId: string;
  readonly passage: Passage = { identity: undefined, headers: [], releases: [] };
  readonly gone = (): boolean => this.#answer.over;
  readonly #realtime: Realtime;
  readonly #options: UpgradeOptions;
  readonly #answer: Answerable;
  readonly #context: us_socket_context_t;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #started = performance.now();

  constructor(
    realtime: Realtime,
    options: UpgradeOptions,
    response: HttpResponse,
    request: HttpRequest,
    context: us_socket_context_t,
  ) {
    this.#realtime = realtime;
    this.#options = options;
    this.#answer = answerable(response);
    this.#context = context;
    this.path = request.getUrl();
    const headers = headersOf(request);
    const header = (name: string): string | undefined => headers.get(name);
    this.#headers = headers;
    this.requestId = requestIdOf(header("x-request-id"));
    const { peers, trustedHops, encrypted } = options;
    const caller: Caller = {
      clientAddress: clientAddress(peers.addressOf(response), header("x-forwarded-for"), trustedHops),
      query: request.getQuery() ?? "",
      encrypted,
      header,
      certificate: () => undefined,
    };
    this.request = new UpgradeRequest(caller, realtime.settings.origins);
  }

  /** Synchronous as far as its parts are. */
  run(): void {
    const relayed = this.#options.relay?.take(this.#headers.get(relayHeader));
    if (relayed !== undefined) {
      this.#open(relayed);
      return;
    }
    let admitted: Socket | Promise<Socket>;
    try {
      admitted = admitSocket(this.#realtime, this);
    } catch (error) {
      this.#refuse((error as GatewayError).failure);
      return;
    }
    if (!(admitted instanceof Promise)) this.#accept(admitted);
    else
      admitted
        .then(
          socket => this.#accept(socket),
          (error: GatewayError) => this.#refuse(error.failure),
        )
        .catch((error: unknown) => this.#realtime.logger?.error({ err: error }, "an upgrade failed"));
  }

  #accept(socket: Socket): void {
    const open = this.#open(socket);
    this.#report(open ? undefined : gatewayFailure("CLIENT_CLOSED", "the client has gone"), 0);
  }

  /** @returns whether its client was still there */
  #open(socket: Socket): boolean {
    const answer = this.#answer;
    if (answer.over) {
      abandoned(this.#realtime, socket);
      return false;
    }
    opened(this.#realtime);
    answer.over = true;
    this.#options.cork(() => {
      answer.response.upgrade<SocketData>(
        { socket },
        this.#headers.get("sec-websocket-key") ?? "",
        this.request.protocol,
        this.#headers.get("sec-websocket-extensions") ?? "",
        this.#context,
      );
    });
    return true;
  }

  #refuse(failure: Failure): void {
    const more = [
      ...(this.#options.replyHeaders?.(this.request.header("origin")) ?? []),
      ...this.passage.headers,
    ];
    this.#report(failure, answerFailure(this.#answer, failure, this.requestId, this.path, more));
  }

  #report(failure: Failure | undefined, bytes: number): void {
    const { path, requestId } = this;
    const seconds = (performance.now() - this.#started) / 1000;
    this.#options.answered?.({ path, requestId, failure, seconds, bytes });
  }
}

/** Headers by lower-case name; several lines of one are joined. */
function headersOf(request: HttpRequest): Map<string, string> {
  const headers = new Map<string, string>();
  request.forEach((name, value) => {
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}${name === "cookie" ? ";" : ","} ${value}`);
  });
  return headers;
}
