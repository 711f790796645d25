import { type IncomingMessage, METHODS, type Server, ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { TLSSocket, type Server as TlsServer } from "node:tls";
import Fastify, { type FastifyInstance } from "fastify";
import { plainAddress } from "../../net/peer-address.js";
import { NodeCertificates } from "../../net/server-tls.js";
import { withoutSchemas } from "../../net/without-schemas.js";
import { type Engine, type EngineOptions, type HeaderReader, refusal, targetLimit } from "../engine.js";
import { Http2Connections } from "../http2/http2-connections.js";
import { readPreface } from "../http2/preface.js";
import { clientCertificate } from "./client-certificate.js";
import { bodyError, fault, refuseInTurn, tooLarge } from "./faults.js";
import { FrameConnections } from "./frame-connections.js";
import { closeLingering, lingerAfterLast } from "./lingering-close.js";
import { type Fault, type NodeConnection, NodeConnections } from "./node-connections.js";
import { NodeExchange, originForm, takeHostOf } from "./node-exchange.js";
import { holdUntilIdle, isWebSocketUpgrade, NodeUpgrade, putBack } from "./node-upgrade.js";
import { ProxyHeaders } from "./proxy-headers.js";

/** Listens with Fastify. One wildcard route takes everything: matching is ours, on the raw path. */
export async function startFastifyEngine(options: EngineOptions): Promise<Engine> {
  const listener = new Listener(options);
  const limits = {
    maxHeaderSize: options.headerLimit + targetLimit,
    // Of the head alone: how long a body may take is up to its reader.
    requestTimeout: 0,
    headersTimeout: options.requestTimeout,
    connectionsCheckingInterval: 1000,
    // Refused in `fault`, where it is counted.
    requireHostHeader: false,
    // Node.js would else keep the first of two `authorization` lines and silently drop the other.
    joinDuplicateHeaders: true,
  };
  const certificates = options.tls && new NodeCertificates(options.tls);
  const app = Fastify({
    ...withoutSchemas,
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    requestTimeout: 0,
    rewriteUrl: () => "/",
    clientErrorHandler: (error, socket) => listener.guard(socket, () => listener.failed(error, socket)),
    ...(certificates === undefined
      ? { http: limits }
      : {
          https: {
            ...limits,
            ...certificates.options,
            handshakeTimeout: options.requestTimeout,
            ...(options.http2 === true && { ALPNProtocols: ["h2", "http/1.1"] }),
          },
        }),
  }) as unknown as FastifyInstance;

  for (const method of METHODS) {
    if (method !== "CONNECT" && !app.supportedMethods.includes(method))
      app.addHttpMethod(method, { hasBody: true });
  }
  // Before Fastify looks at content types: the route decides which it accepts.
  app.addHook("onRequest", (request, reply) => {
    reply.hijack();
    const { raw, originalUrl } = request;
    listener.guard(raw.socket, () => listener.accept(raw, reply.raw, originalUrl));
  });
  app.route({ method: app.supportedMethods, url: "/", exposeHeadRoute: false, handler: () => undefined });
  const { server } = app;
  // Node.js would keep the first thousand headers and silently drop the others; `maxHeaderSize` bounds them all.
  server.maxHeadersCount = 0;
  const connected = options.tls === undefined ? "connection" : "secureConnection";
  if (options.http2 === true) detectHttp2(server, connected, listener, options);
  server.on(connected, socket => void listener.connections.of(socket));
  // An unknown expectation is ignored (RFC 9110 §10.1.1); Node.js alone would respond with 417.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  server.on("checkContinue", (request, response) => {
    expecting.add(request);
    server.emit("request", request, response);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) =>
    listener.guard(socket, () => listener.upgrade(request, head, () => server.emit(connected, socket))),
  );
  server.on("connect", (_request: IncomingMessage, socket: Socket) =>
    listener.guard(socket, () => listener.connect(socket)),
  );

  const proxies = options.proxyProtocol && new ProxyHeaders(options.proxyProtocol, options.requestTimeout);
  proxies?.putBefore(server, options.tls !== undefined);

  await app.listen({ host: options.host, port: options.port });
  return {
    port: (server.address() as AddressInfo).port,
    get shown() {
      return certificates?.shown;
    },
    // Callers renew only listeners that have certificates.
    renew: tls => (certificates as NodeCertificates).prepare(server as unknown as TlsServer, tls),
    async close(_sockets, lingerMs = 0) {
      const closed = new Promise<void>(resolve => server.once("close", resolve));
      // Its own `close` would end idle connections at once.
      NetServer.prototype.close.call(server);
      listener.http2.retire();
      if (lingerMs > 0) await Promise.race([closed, delay(lingerMs, undefined, { ref: false })]);
      proxies?.close();
      listener.connections.endIdle();
      await app.close();
      await closed;
    },
    destroy: () => {
      proxies?.close();
      listener.connections.destroy();
      listener.http2.destroy();
    },
  };
}

/** Passes only connections that do not use HTTP/2 to Node.js. */
function detectHttp2(server: Server, event: string, listener: Listener, options: EngineOptions): void {
  const parsers = server.listeners(event);
  server.removeAllListeners(event);
  // Connections that were checked come again after an upgrade, and do not change their protocol.
  const http1 = new WeakSet<Socket>();
  server.on(event, (socket: Socket) => {
    const parse = (): void => {
      for (const each of parsers) each.call(server, socket);
    };
    const agreed = socket instanceof TLSSocket ? socket.alpnProtocol === "h2" : undefined;
    if (agreed === false || http1.has(socket)) {
      parse();
      return;
    }
    const take = (rest: Buffer): void => listener.guard(socket, () => listener.takeHttp2(socket, rest));
    const other = (): void => {
      // Over TLS it has agreed to HTTP/2.
      if (agreed) {
        socket.destroy();
        return;
      }
      http1.add(socket);
      parse();
    };
    readPreface(socket, options.requestTimeout, take, other);
  });
}

/** The connections of a server and the requests on them. */
class Listener {
  readonly connections: NodeConnections;
  readonly http2: Http2Connections;
  readonly #options: EngineOptions;
  readonly #sockets: FrameConnections;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.http2 = new Http2Connections(options);
    this.#sockets = new FrameConnections(options.sockets?.idleTimeoutMs ?? 120_000);
    this.connections = new NodeConnections(exchange => {
      try {
        options.handle(exchange, exchange);
      } catch (error) {
        exchange.abandon();
        options.crashed?.(error);
      }
    });
  }

  /** An error in the handling of one connection must not end the process with all others. */
  guard(socket: Socket, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#crash(socket, error);
    }
  }

  #crash(socket: Socket, error: unknown): void {
    socket.destroy();
    this.#options.crashed?.(error);
  }

  /** The connection uses HTTP/2. @param head the bytes after its preface */
  takeHttp2(socket: Socket, head: Buffer): void {
    this.connections.release(socket);
    const client = {
      remoteAddress: plainAddress(socket.remoteAddress ?? ""),
      encrypted: socket instanceof TLSSocket,
      certificate: () => clientCertificate(socket),
    };
    this.http2.accept(socket, client, head);
  }

  accept(request: IncomingMessage, response: ServerResponse, target: string, upgradeHead?: Buffer): void {
    const { socket } = request;
    takeHostOf(target, request);
    const connection = this.connections.of(socket);
    // A request behind one that was the last.
    if (!socket.writable || connection.last) return;
    const options = this.#options;
    const found = fault(request, connection.underWay.size, options);
    if (found !== undefined) {
      connection.last = true;
      lingerAfterLast(socket, options.requestTimeout);
      refuseInTurn(response, found, options);
      return;
    }
    // Its framing is in doubt, so that nothing behind it is read (RFC 9112 §6.1).
    if (request.httpVersionMinor === 0 && request.headers["transfer-encoding"] !== undefined) {
      connection.last = true;
      lingerAfterLast(socket, options.requestTimeout);
      response.shouldKeepAlive = false;
    }
    const upgrade =
      upgradeHead &&
      new NodeUpgrade(request, response, this.#sockets, upgradeHead, () => exchange.cancellation.cancel());
    const exchange = new NodeExchange(request, response, target, {
      unreadTimeoutMs: options.requestTimeout,
      bodyTimeoutMs: options.requestTimeout,
      expectsContinue: expecting.has(request),
      upgrade,
    });
    response.once("finish", () => this.#finished(socket, connection, exchange));
    connection.begin(exchange);
  }

  #finished(socket: Socket, connection: NodeConnection, exchange: NodeExchange): void {
    try {
      connection.finished(exchange);
      const { broken, underWay } = connection;
      if (broken !== undefined && underWay.size === 0 && socket.writable) this.#refuse(socket, broken);
    } catch (error) {
      this.#crash(socket, error);
    }
  }

  /** @param parse gives the connection, which Node.js has taken its parser off, a new one */
  upgrade(request: IncomingMessage, head: Buffer, parse: () => void): void {
    const { socket } = request;
    const connection = this.connections.of(socket);
    const isUpgrade = isWebSocketUpgrade(request);
    if (!isUpgrade || connection.underWay.size > 0 || connection.last) {
      putBack(request, head, isUpgrade, connection, parse);
      return;
    }
    const options = this.#options;
    const target = request.url ?? "/";
    takeHostOf(target, request);
    if (fault(request, 0, options) === undefined && options.takeUpgrade?.(request, socket, head) === true) {
      this.connections.release(socket);
      return;
    }
    if (options.upgrades?.(originForm(target), headerOf(request)) === undefined) {
      putBack(request, head, false, connection, parse);
      return;
    }
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once("finish", () => closeLingering(socket, options.requestTimeout));
    this.accept(request, response, target, head);
  }

  /** CONNECT is refused: the gateway is no tunnel (RFC 9110 §9.3.6). */
  connect(socket: Socket): void {
    holdUntilIdle(socket, this.connections.of(socket), () => socket.destroy());
  }

  /** Node.js could not read on. The exchange handles a request that is under way, the engine everything else. */
  failed(error: Error & { code?: string }, socket: Socket): void {
    const connection = this.connections.of(socket);
    const timedOut = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    const silent = timedOut && socket.bytesRead === 0;
    // After a failed handshake there can be no response.
    const handshake = error.code !== undefined && /^ERR_(TLS|SSL)_/.test(error.code);
    if (error.code === "ECONNRESET" || silent || handshake) {
      socket.destroy();
      return;
    }
    const { underWay } = connection;
    for (const exchange of underWay) exchange.failBody(bodyError(error.code));
    // A client that leaves in the middle of the only body waits for no response.
    if (error.code === "HPE_INVALID_EOF_STATE" && underWay.size === 1) socket.destroy();
    if (connection.last || !socket.writable) return;
    connection.last = true;
    connection.broken =
      error.code === "HPE_HEADER_OVERFLOW"
        ? tooLarge(this.#options)
        : timedOut
          ? ["REQUEST_TIMEOUT", `the request did not arrive within ${this.#options.requestTimeout} ms`]
          : ["MALFORMED_REQUEST", "the request is not valid HTTP/1.1"];
    if (underWay.size === 0) this.#refuse(socket, connection.broken);
  }

  #refuse(socket: Socket, [reason, message]: Fault): void {
    const { failure, body } = refusal(reason, message);
    this.#options.refused(failure);
    closeLingering(
      socket,
      this.#options.requestTimeout,
      `HTTP/1.1 ${failure.httpStatus} ${reason}\r\ncontent-type: application/json\r\nconnection: close\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
}

/** Lines of one name are joined. */
export function headerOf({ headers }: IncomingMessage): HeaderReader {
  return name => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
}

/** Requests whose clients wait for `100 Continue`. */
const expecting = new WeakSet<IncomingMessage>();
