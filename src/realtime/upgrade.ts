import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { Passage } from "../bindings/guard.js";
import type { PeerAddresses } from "../net/peer-address.js";
import type { UwsApp } from "../net/uws-addon.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import { requestIdOf } from "../telemetry/request-id.js";
import { CloseCode } from "./close-code.js";
import { type Answerable, answerable, answerFailure, failureOf } from "./http-answer.js";
import { newSession } from "./local-hub.js";
import type { UpgradeResult } from "./metrics.js";
import { requireOrigin } from "./origin.js";
import type { Realtime } from "./realtime.js";
import { Socket, type SocketData } from "./socket.js";
import { headersOf, UpgradeRequest } from "./upgrade-request.js";

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
  /** The client's address where a proxy tells it; `peer` is who has connected. */
  clientAddress(peer: string, header: (name: string) => string | undefined): string;
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
    upgrade: (response, request, context) => new Upgrade(realtime, options, response, request, context).run(),
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
class Upgrade {
  readonly #realtime: Realtime;
  readonly #answer: Answerable;
  readonly #context: us_socket_context_t;
  readonly #headers: ReadonlyMap<string, string>;
  readonly #path: string;
  readonly #requestId: string;
  readonly #request: UpgradeRequest;
  readonly #passage: Passage = { identity: undefined, headers: [], releases: [] };

  constructor(
    realtime: Realtime,
    { peers, clientAddress, encrypted }: UpgradeOptions,
    response: HttpResponse,
    request: HttpRequest,
    context: us_socket_context_t,
  ) {
    this.#realtime = realtime;
    this.#answer = answerable(response);
    this.#context = context;
    this.#path = request.getUrl();
    const headers = headersOf(request);
    this.#headers = headers;
    this.#requestId = requestIdOf(headers.get("x-request-id"));
    this.#request = new UpgradeRequest(headers, request.getQuery() ?? "", {
      clientAddress: clientAddress(peers.addressOf(response), name => headers.get(name)),
      encrypted,
      origins: realtime.settings.origins,
    });
  }

  /** Synchronous as far as its parts are. */
  run(): void {
    this.#realtime.pending++;
    try {
      this.#check();
      const admitted = this.#realtime.guard.admit(this.#request, this.#path, this.#passage);
      if (admitted === undefined) this.#ask();
      else admitted.then(() => this.#ask()).catch((error: unknown) => this.#refuse(error));
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** @throws GatewayError for what can be refused without knowing who asks */
  #check(): void {
    const { settings, sockets, pending, draining } = this.#realtime;
    const headers = this.#headers;
    if (draining) throw fault("SHUTTING_DOWN", "the gateway is shutting down", { retryAfter: 1 });
    if (headers.get("sec-websocket-version") !== "13")
      throw fault("UPGRADE_REQUIRED", "expected sec-websocket-version: 13", {
        headers: [["sec-websocket-version", "13"]],
      });
    const { connections } = settings.limits;
    if (sockets.open.size + pending > connections)
      throw fault("TOO_MANY_CONNECTIONS", `${connections} WebSockets are open already`, { retryAfter: 5 });
    requireOrigin(headers.get("origin"), settings.origins, headers.get("host"));
  }

  /** Backends, whether they want the socket. */
  #ask(): void {
    if (this.#answer.aborted) throw fault("CLIENT_CLOSED", "the client has gone");
    const { settings, sockets } = this.#realtime;
    const { identity } = this.#passage;
    const { clientAddress } = this.#request;
    const client = { identity, clientAddress, requestId: this.#requestId };
    const socket = new Socket(newSession(), client, sockets, settings.limits.burst);
    socket.releases = this.#passage.releases;
    if (settings.bridge === undefined) {
      this.#open(socket);
      return;
    }
    const verdict = settings.bridge.event("connect", socket, { type: "connect", from: socket.subject });
    if (!(verdict instanceof Promise)) {
      if (!verdict.allow) throw new GatewayError(verdict.failure);
      this.#open(socket);
      return;
    }
    verdict
      .then(known => {
        if (!known.allow) throw new GatewayError(known.failure);
        this.#open(socket);
      })
      .catch((error: unknown) => this.#refuse(error));
  }

  #open(socket: Socket): void {
    const answer = this.#answer;
    if (answer.aborted) {
      this.#abandon(socket);
      return;
    }
    const headers = this.#headers;
    const { protocol } = this.#request;
    this.#realtime.pending--;
    this.#realtime.metrics.upgrade("accepted");
    answer.aborted = true;
    answer.response.cork(() => {
      answer.response.upgrade<SocketData>(
        { socket },
        headers.get("sec-websocket-key") ?? "",
        protocol,
        headers.get("sec-websocket-extensions") ?? "",
        this.#context,
      );
    });
  }

  /** The client has gone while others were asked. */
  #abandon(socket: Socket): void {
    this.#realtime.pending--;
    this.#realtime.metrics.upgrade("aborted");
    for (const release of this.#passage.releases) release();
    socket.gone();
    const { bridge } = this.#realtime.settings;
    if (bridge === undefined) return;
    void bridge.event("disconnect", socket, { type: "disconnect", from: socket.subject, code: 1006 });
  }

  #refuse(error: unknown): void {
    const { metrics, logger } = this.#realtime;
    if (!(error instanceof GatewayError)) logger?.error({ err: error }, "an upgrade could not be processed");
    const failure = failureOf(error);
    this.#realtime.pending--;
    for (const release of this.#passage.releases) release();
    metrics.upgrade(this.#answer.aborted ? "aborted" : resultOf(failure));
    answerFailure(this.#answer, failure, "status", this.#requestId, this.#path);
  }
}

const results: ReadonlyMap<number, UpgradeResult> = new Map([
  [400, "malformed"],
  [401, "unauthenticated"],
  [403, "forbidden"],
  [426, "malformed"],
  [429, "rate_limited"],
  [503, "unavailable"],
  [504, "unavailable"],
]);

function resultOf({ reason, httpStatus }: Failure): UpgradeResult {
  if (reason === "ORIGIN_NOT_ALLOWED") return "origin";
  if (reason === "TOO_MANY_CONNECTIONS") return "too_many";
  return results.get(httpStatus) ?? (httpStatus < 500 ? "forbidden" : "internal");
}

function fault(reason: Reason, message: string, extra = {}): GatewayError {
  return new GatewayError(gatewayFailure(reason, message, [], extra));
}
