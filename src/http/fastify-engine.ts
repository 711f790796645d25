import { type IncomingMessage, METHODS, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import Fastify, { type FastifyInstance } from "fastify";
import type { Reason } from "../status/reasons.js";
import { Cancellation } from "../upstream/channel.js";
import { type Engine, type EngineOptions, plainAddress, refusal, targetLimit } from "./engine.js";
import { BodyTooLargeError, type Exchange, type HeaderList, isHeaderValue, noBody } from "./exchange.js";

/** Listens with Fastify. One wildcard route takes everything: matching is ours, on the raw path. */
export async function startFastifyEngine(options: EngineOptions): Promise<Engine> {
  const limits = {
    maxHeaderSize: options.headerLimit + targetLimit,
    requestTimeout: options.requestTimeout,
    headersTimeout: options.requestTimeout,
    connectionsCheckingInterval: 1000,
  };
  const app = Fastify({
    logger: false,
    return503OnClosing: false,
    forceCloseConnections: "idle",
    requestTimeout: options.requestTimeout,
    rewriteUrl: () => "/",
    clientErrorHandler: (error, socket) => refuse(error, socket, options),
    ...(options.tls === undefined
      ? { http: limits }
      : { https: { ...limits, cert: options.tls.cert, key: options.tls.key } }),
  }) as unknown as FastifyInstance;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  for (const method of METHODS) {
    if (method !== "CONNECT" && !app.supportedMethods.includes(method))
      app.addHttpMethod(method, { hasBody: true });
  }
  app.route({
    method: app.supportedMethods,
    url: "/",
    exposeHeadRoute: false,
    handler: (request, reply) => {
      reply.hijack();
      const { socket, headers } = request.raw;
      const coding = headers["transfer-encoding"];
      // Node.js takes other codings before `chunked` and leaves them in the body.
      if (coding !== undefined && coding.toLowerCase() !== "chunked") {
        refuse(new Error("unknown transfer coding"), socket, options);
        return;
      }
      // A request behind one that was refused.
      if (!socket.writable) return;
      options.handle(new NodeExchange(request.raw, reply.raw, request.originalUrl));
    },
  });
  await app.listen({ host: options.host, port: options.port });
  return {
    port: (app.server.address() as AddressInfo).port,
    close: () => app.close(),
    destroy: () => app.server.closeAllConnections(),
  };
}

class NodeExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly remoteAddress: string;
  readonly cancellation = new Cancellation();
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, target: string) {
    const url = originForm(target);
    const mark = url.indexOf("?");
    this.method = request.method ?? "";
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
    this.remoteAddress = plainAddress(request.socket.remoteAddress ?? "");
    this.#request = request;
    this.#response = response;
    response.on("close", () => {
      if (!response.writableFinished) this.cancellation.cancel();
    });
  }

  get encrypted(): boolean {
    return "encrypted" in this.#request.socket;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  body(limit: number): Uint8Array | Promise<Uint8Array> {
    const request = this.#request;
    if (!announcesBody(request)) return noBody;
    if (Number(request.headers["content-length"] ?? 0) > limit)
      return Promise.reject(new BodyTooLargeError());
    return new Promise((resolve, reject) => {
      let size = 0;
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > limit) {
          request.pause();
          request.removeAllListeners("data");
          reject(new BodyTooLargeError());
          return;
        }
        chunks.push(chunk);
      });
      request.on("end", () =>
        resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)),
      );
      request.on("error", reject);
      request.on("close", () => reject(new Error("the request ended before its body was complete")));
    });
  }

  reply(status: number, headers: HeaderList, body: string | Uint8Array): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    const bodyless = status === 204 || status === 304;
    const flat: string[] = [];
    for (const [name, value] of headers) if (isHeaderValue(value)) flat.push(name, value);
    if (!bodyless) flat.push("content-length", String(Buffer.byteLength(body)));
    // A request whose body was not read to its end cannot share the connection with another one.
    if (announcesBody(this.#request) && !this.#request.complete) flat.push("connection", "close");
    response.writeHead(status, flat);
    if (bodyless || this.method === "HEAD") response.end();
    else response.end(body);
  }
}

/** RFC 9112 §6.3: without either header a request has no body. */
function announcesBody(request: IncomingMessage): boolean {
  const length = request.headers["content-length"];
  return (length !== undefined && length !== "0") || request.headers["transfer-encoding"] !== undefined;
}

/** RFC 9112 §3.2: servers accept the absolute form too; the asterisk form has no path. */
function originForm(target: string): string {
  if (target.startsWith("/")) return target;
  const authority = /^https?:\/\/[^/?#]*/i.exec(target);
  if (authority === null) return target;
  const rest = target.slice(authority[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function refuse(error: Error & { code?: string }, socket: Socket, options: EngineOptions): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [reason, message]: [Reason, string] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["HEADERS_TOO_LARGE", `request headers are limited to ${options.headerLimit} bytes`]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? ["REQUEST_TIMEOUT", `the request did not arrive within ${options.requestTimeout} ms`]
        : ["MALFORMED_REQUEST", "the request is not valid HTTP/1.1"];
  const { failure, body } = refusal(reason, message);
  options.refused(failure);
  socket.end(
    `HTTP/1.1 ${failure.httpStatus} ${reason}\r\ncontent-type: application/json\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
