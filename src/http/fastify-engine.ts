import { type IncomingMessage, METHODS, type Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions, TlsOptions } from "node:tls";
import Fastify, { type FastifyInstance } from "fastify";
import type { ServerTls } from "../net/server-tls.js";
import type { Reason } from "../status/reasons.js";
import { type Engine, type EngineOptions, refusal, targetLimit } from "./engine.js";
import { BodyTimeoutError, MalformedBodyError } from "./exchange.js";
import { ExpectingExchange } from "./expecting-exchange.js";
import { maxPipelined, NodeConnections } from "./node-connections.js";
import { NodeExchange } from "./node-exchange.js";

/** Listens with Fastify. One wildcard route takes everything: matching is ours, on the raw path. */
export async function startFastifyEngine(options: EngineOptions): Promise<Engine> {
  const connections = new NodeConnections();
  const limits = {
    maxHeaderSize: options.headerLimit + targetLimit,
    requestTimeout: options.requestTimeout,
    headersTimeout: options.requestTimeout,
    connectionsCheckingInterval: 1000,
    // Refused in `fault`, where it is counted.
    requireHostHeader: false,
    // Node.js would else keep the first of two `authorization` lines and say nothing of the other.
    joinDuplicateHeaders: true,
  };
  const app = Fastify({
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    requestTimeout: options.requestTimeout,
    rewriteUrl: () => "/",
    clientErrorHandler: (error, socket) => failed(error, socket, connections, options),
    ...(options.tls === undefined
      ? { http: limits }
      : { https: { ...limits, ...secureOptions(options.tls), handshakeTimeout: options.requestTimeout } }),
  }) as unknown as FastifyInstance;

  for (const method of METHODS) {
    if (method !== "CONNECT" && !app.supportedMethods.includes(method))
      app.addHttpMethod(method, { hasBody: true });
  }
  // Before Fastify looks at content types: what a body may be is for the route to say.
  app.addHook("onRequest", (request, reply) => {
    reply.hijack();
    accept(request.raw, reply.raw, request.originalUrl, connections, options);
  });
  app.route({ method: app.supportedMethods, url: "/", exposeHeadRoute: false, handler: () => undefined });
  const { server } = app;
  // Node.js would keep the first thousand headers and say nothing of the others; `maxHeaderSize` bounds them all.
  server.maxHeadersCount = 0;
  server.on(options.tls === undefined ? "connection" : "secureConnection", socket =>
    connections.opened(socket),
  );
  // An expectation that is not known is passed over (RFC 9110 §10.1.1); Node.js alone would answer 417.
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  server.on("checkContinue", (request, response) => {
    expecting.add(request);
    server.emit("request", request, response);
  });

  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== "websocket") {
      ignoreUpgrade(server, request, socket, head, options);
      return;
    }
    const { size } = connections.of(socket);
    if (
      fault(request, size, options) === undefined &&
      options.takeUpgrade?.(request, socket, head) === true
    ) {
      connections.release(socket);
      return;
    }
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once("finish", () => socket.end());
    socket.on("error", () => socket.destroy());
    accept(request, response, request.url ?? "/", connections, options, head);
  });

  await app.listen({ host: options.host, port: options.port });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      const closed = app.close();
      connections.endIdle();
      return closed;
    },
    destroy: () => server.closeAllConnections(),
  };
}

function secureOptions({ cert, key, client }: ServerTls): SecureContextOptions & TlsOptions {
  if (client === undefined) return { cert, key };
  return { cert, key, ca: client.ca, requestCert: true, rejectUnauthorized: client.required };
}

function accept(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  connections: NodeConnections,
  options: EngineOptions,
  upgradeHead?: Buffer,
): void {
  const { socket } = request;
  // A request behind one that was refused.
  if (!socket.writable || ended.has(socket)) return;
  const exchanges = connections.of(socket);
  const found = fault(request, exchanges.size, options);
  if (found !== undefined) {
    ended.add(socket);
    refuseInTurn(response, ...found, options);
    return;
  }
  const exchange = expecting.has(request)
    ? new ExpectingExchange(request, response, target, options.requestTimeout)
    : new NodeExchange(request, response, target, options.requestTimeout, upgradeHead);
  exchanges.add(exchange);
  response.once("finish", () => {
    exchanges.delete(exchange);
    const failure = broken.get(socket);
    if (failure !== undefined && exchanges.size === 0 && socket.writable) refuse(socket, ...failure, options);
  });
  options.handle(exchange);
}

/** Whose client waits to be asked for the body. */
const expecting = new WeakSet<IncomingMessage>();

/** Connections on which a request was refused: it is the last one. */
const ended = new WeakSet<Socket>();

/** What was wrong behind the requests that are under way on a connection. */
const broken = new WeakMap<Socket, [Reason, string]>();

/**
 * Serves a request as if it had asked for no upgrade (RFC 9110 §7.8). Node.js has taken its parser off the connection,
 * so the request goes through a new one, without the header.
 */
function ignoreUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { tls }: EngineOptions,
): void {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== "upgrade")
      text += `${rawHeaders[index]}: ${rawHeaders[index + 1]}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, "latin1"), head]));
  server.emit(tls === undefined ? "connection" : "secureConnection", socket);
}

/** What Node.js takes and we do not. */
function fault(
  request: IncomingMessage,
  underWay: number,
  options: EngineOptions,
): [Reason, string] | undefined {
  const coding = request.headers["transfer-encoding"];
  // Node.js takes other codings before `chunked` and leaves them in the body.
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return ["MALFORMED_REQUEST", "transfer codings other than chunked are not read"];
  }
  if (request.httpVersionMajor < 1) {
    return ["MALFORMED_REQUEST", "the request line has no version of HTTP"];
  }
  if (underWay >= maxPipelined) {
    return ["MALFORMED_REQUEST", `a connection may have ${maxPipelined} requests under way`];
  }
  const { rawHeaders } = request;
  let size = 0;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    size += name.length + (rawHeaders[index + 1] as string).length;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (size > options.headerLimit) return tooLarge(options);
  if (hosts > 1 || (hosts === 0 && request.httpVersion === "1.1")) {
    return ["MALFORMED_REQUEST", "expected one Host header (RFC 9112 §3.2)"];
  }
  return undefined;
}

function tooLarge(options: EngineOptions): [Reason, string] {
  return ["HEADERS_TOO_LARGE", `request headers are limited to ${options.headerLimit} bytes`];
}

/** Node.js could not read on. A request that is under way is answered by its exchange, what is none by us. */
function failed(
  error: Error & { code?: string },
  socket: Socket,
  connections: NodeConnections,
  options: EngineOptions,
): void {
  if (ended.has(socket)) return;
  const timedOut = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
  const silent = timedOut && socket.bytesRead === 0;
  // Over a handshake that has failed nothing can be said.
  const handshake = error.code !== undefined && /^ERR_(TLS|SSL)_/.test(error.code);
  if (error.code === "ECONNRESET" || !socket.writable || silent || handshake) {
    socket.destroy();
    return;
  }
  const underWay = connections.of(socket);
  const found: [Reason, string] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? tooLarge(options)
      : timedOut
        ? ["REQUEST_TIMEOUT", `the request did not arrive within ${options.requestTimeout} ms`]
        : ["MALFORMED_REQUEST", "the request is not valid HTTP/1.1"];
  if (underWay.size > 0) {
    for (const exchange of underWay) exchange.failBody(bodyError(error.code));
    // Whoever leaves in the middle of a body waits for no reply.
    if (error.code === "HPE_INVALID_EOF_STATE") socket.destroy();
    else broken.set(socket, found);
    return;
  }
  refuse(socket, ...found, options);
}

function bodyError(code: string | undefined): Error {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new BodyTimeoutError();
  // The peer ended its side in the middle of the body.
  if (code === "HPE_INVALID_EOF_STATE") return new Error("the request ended before its body was complete");
  return new MalformedBodyError();
}

/** Behind the replies that are due before it. */
function refuseInTurn(
  response: ServerResponse,
  reason: Reason,
  message: string,
  options: EngineOptions,
): void {
  const { failure, body } = refusal(reason, message);
  options.refused(failure);
  response.writeHead(failure.httpStatus, reason, {
    "content-type": "application/json",
    connection: "close",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

function refuse(socket: Socket, reason: Reason, message: string, options: EngineOptions): void {
  const { failure, body } = refusal(reason, message);
  options.refused(failure);
  socket.end(
    `HTTP/1.1 ${failure.httpStatus} ${reason}\r\ncontent-type: application/json\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
