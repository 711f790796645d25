import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, Transform, type TransformCallback } from "node:stream";
import httpProxy from "@fastify/http-proxy";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { WebSocket } from "ws";
import { bearerToken } from "../net/bearer-protocol.js";
import { type Failure, gatewayFailure } from "../status/failure.js";
import { renderFailure } from "../status/profiles.js";

/** Requests below one prefix that go to an HTTP backend as they are. */
export interface PassThroughTarget {
  /** `/legacy`, without `/` at its end. */
  readonly prefix: string;
  /** What stands in place of the prefix; undefined: the prefix stays. */
  readonly rewrite: string | undefined;
  readonly websocket: boolean;
  /** Where the next request goes. @param headers what every backend is told of it */
  next(headers: PassedHeaders): PassThroughEndpoint;
  /** Milliseconds for the head of a reply, and between two parts of its body. */
  readonly timeout: number;
  readonly tls: PassThroughTls | undefined;
}

export interface PassThroughEndpoint {
  /** Such as `http://10.0.0.9:8080`. */
  readonly origin: string;
  /** What only this backend is told. */
  readonly headers: PassedHeaders;
}

export interface PassThroughTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** The Fastify application that streams requests to HTTP backends. It does not listen: engines hand requests over. */
export interface PassThrough {
  handle(request: IncomingMessage, response: ServerResponse, passed: Passed): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, passed: Passed): void;
  /**
   * How a request reaches the application from an engine that is not Node's: over a socket that only this process can
   * open. One request for each call.
   */
  privately(passed: Passed): PrivateWay;
  /** Resolves once no WebSocket is open. */
  quiet(): Promise<void>;
  /** Ends what is under way. */
  close(): Promise<void>;
}

export interface PrivateWay {
  readonly options: RequestOptions;
  /** Headers that the request must have, whatever the client's say. */
  readonly headers: Readonly<Record<string, string>>;
  /** The request is over, or never came. */
  close(): void;
}

export type PassedHeaders = Readonly<Record<string, string | undefined>>;

/** What the gateway says of one request. */
export interface Passed {
  /** What replaces or joins the request's own headers; `undefined` takes one away. */
  readonly headers: PassedHeaders;
  /** Whether a header is not the client's to send, by lower-case name with `-` in place of `_`. */
  readonly ownHeader: (name: string) => boolean;
  /** Bytes. */
  readonly bodyLimit: number;
  /** The reply says that no backend has answered, and why. */
  failed(failure: Failure): void;
}

/** What is said of the requests under way. */
const passed = new WeakMap<IncomingMessage, Passed>();

/** Bytes that a WebSocket may leave unread before its backend is read no further. */
const webSocketBuffer = 1 << 20;

/** Bytes of the largest WebSocket message that is passed on. */
const webSocketMessage = 16 << 20;

/** @param socket whether `privately` is used */
export async function createPassThrough(
  targets: readonly PassThroughTarget[],
  socket: boolean,
): Promise<PassThrough> {
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    // Bodies are streamed and counted on their way.
    bodyLimit: Number.MAX_SAFE_INTEGER,
  }) as unknown as FastifyInstance;
  app.setNotFoundHandler((request, reply) => fail(reply, request.url, "ROUTE_NOT_FOUND", "no route"));
  app.setErrorHandler((error, request, reply) => {
    const { statusCode } = error as { statusCode?: number };
    return statusCode === 400
      ? fail(reply, request.url, "MALFORMED_PATH", "the path leads out of its prefix")
      : fail(reply, request.url, "INTERNAL", "the request could not be passed on");
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (request, payload, done) => {
    const { bodyLimit = 0 } = passed.get(request.raw) ?? {};
    done(null, payload.pipe(new Limited(bodyLimit)));
  });
  const open = new Set<Duplex>();
  let closing: Promise<void> | undefined;
  const tickets = new Map<string, Passed>();
  app.addHook("onRequest", async ({ raw, headers }) => {
    const id = String(headers[ticketHeader]);
    const about = tickets.get(id);
    if (about !== undefined) passed.set(raw, about);
    tickets.delete(id);
    // Whoever opened the socket is not this process.
    if (!passed.has(raw)) throw new Error("nothing is known of the request");
  });
  for (const target of targets) app.register(httpProxy, proxyOptions(target) as never);
  const folder = socket ? mkdtempSync(join(tmpdir(), "protogate-")) : undefined;
  const socketPath = folder === undefined ? undefined : join(folder, "http.sock");
  const agent = new Agent({ keepAlive: true, maxSockets: 1024 });
  if (socketPath === undefined) await app.ready();
  else await app.listen({ path: socketPath });
  return {
    handle(request, response, about) {
      passed.set(request, about);
      app.routing(request, response);
    },
    upgrade(request, socket, head, about) {
      passed.set(request, about);
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      app.server.emit("upgrade", request, socket, head);
    },
    privately(about) {
      const id = randomBytes(18).toString("base64url");
      tickets.set(id, about);
      return {
        options: { socketPath, agent },
        headers: { [ticketHeader]: id },
        close: () => tickets.delete(id),
      };
    },
    async quiet() {
      while (open.size > 0) await Promise.all(Array.from(open, socket => once(socket, "close")));
    },
    close() {
      closing ??= close();
      return closing;
    },
  };

  async function close(): Promise<void> {
    agent.destroy();
    for (const socket of open) socket.destroy();
    await app.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Names what was said of a request that comes over the private socket. */
const ticketHeader = "x-protogate-ticket";

function proxyOptions({
  prefix,
  rewrite,
  websocket,
  next,
  timeout,
  tls,
}: PassThroughTarget): Parameters<typeof httpProxy>[1] {
  // The hook of the application sees to it that each request has some.
  const about = (request: IncomingMessage): Passed => passed.get(request) as Passed;
  const rewritten = (headers: object, request: IncomingMessage): Record<string, string> => {
    const { headers: own, ownHeader } = about(request);
    const all: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) {
      // Some backends take `_` in a name for `-`.
      const canonical = name.replaceAll("_", "-");
      if (canonical !== ticketHeader && !Object.hasOwn(own, canonical) && !ownHeader(canonical))
        all[name] = value;
    }
    for (const [name, value] of Object.entries(own)) if (value !== undefined) all[name] = value;
    return all;
  };
  const options = {
    prefix,
    rewritePrefix: rewrite ?? prefix,
    upstream: "",
    proxyPayloads: false as const,
    undici: {
      connections: 128,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      ...(tls === undefined ? {} : { connect: tls }),
    },
    replyOptions: {
      getUpstream: request => {
        const raw = request.raw as IncomingMessage;
        const known = about(raw);
        const { origin, headers } = next(known.headers);
        passed.set(raw, { ...known, headers: { ...known.headers, ...headers } });
        return origin;
      },
      rewriteRequestHeaders: (request, headers) => rewritten(headers, request.raw as IncomingMessage),
      rewriteHeaders: headers => endToEnd(headers),
      onError: (reply, { error }) => refuse(reply as unknown as FastifyReply, error),
    },
  } satisfies Parameters<typeof httpProxy>[1];
  if (!websocket) return options;
  return {
    ...options,
    websocket: true,
    wsServerOptions: { maxPayload: webSocketMessage },
    wsClientOptions: {
      perMessageDeflate: false,
      // It is for the client to answer, or not.
      autoPong: false,
      handshakeTimeout: timeout,
      maxPayload: webSocketMessage,
      ...tls,
      rewriteRequestHeaders: (headers: object, { raw }: { readonly raw: IncomingMessage }) =>
        rewritten({ ...webSocketHeaders(raw), ...headers }, raw),
    } as never,
    wsHooks: {
      onIncomingMessage: (_context, source, target) => holdBack(source, target),
      onOutgoingMessage: (_context, source, target) => holdBack(target, source),
    },
  };
}

/** Without what belongs to the backend's connection (RFC 9110 §7.6.1); the client's is another one. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection = "", "keep-alive": _, "proxy-connection": __, upgrade: ___, ...rest } = headers;
  for (const name of connection.split(",")) delete rest[name.trim().toLowerCase()];
  return rest;
}

/** Passes so many bytes, then fails. */
class Limited extends Transform {
  #left: number;

  constructor(limit: number) {
    super();
    this.#left = limit;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) done(null, chunk);
    else done(Object.assign(new Error("the body is too large"), { code: tooLarge }));
  }
}

const tooLarge = "BODY_TOO_LARGE";

/** Reads `from` no further while `to` has too much unsent; a ping tells when what stands before it is out. */
function holdBack(from: WebSocket, to: WebSocket): void {
  if (to.bufferedAmount < webSocketBuffer || from.isPaused) return;
  from.pause();
  to.ping(undefined, undefined, () => from.resume());
}

/** What of an upgrade's headers is the client's to say; the handshake's own belong to each connection. */
function webSocketHeaders({ headers }: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (handshake.test(name) || typeof value !== "string") continue;
    kept[name] = value;
  }
  // Each connection offers subprotocols of its own: a token among the client's goes on as what it stands for.
  const token = bearerToken(headers["sec-websocket-protocol"]);
  if (token !== undefined) kept.authorization ??= `Bearer ${token}`;
  return kept;
}

const handshake =
  /^(host|connection|upgrade|keep-alive|transfer-encoding|te|trailer|proxy-.*|sec-websocket-(key|version|extensions|protocol|accept)|content-length)$/;

/** What `@fastify/reply-from` makes of an error keeps the error itself as its cause. */
function refuse(reply: FastifyReply, error: Error & { code?: string }): void {
  const { url } = reply.request;
  const code = (error.cause as { code?: string } | undefined)?.code ?? error.code ?? "";
  if (code === tooLarge) fail(reply, url, "BODY_TOO_LARGE", "the body is larger than the route takes");
  else if (notReached.has(code))
    fail(reply, url, "UPSTREAM_UNAVAILABLE", "no endpoint of the upstream could be reached");
  else if (timedOut.test(code)) fail(reply, url, "UPSTREAM_TIMEOUT", "the upstream did not answer in time");
  else fail(reply, url, "UPSTREAM_PROTOCOL", "the upstream broke the HTTP protocol");
}

/** The request was never sent. */
const notReached: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const timedOut = /TIMEOUT/;

function fail(
  reply: FastifyReply,
  url: string,
  reason: Parameters<typeof gatewayFailure>[0],
  message: string,
): FastifyReply {
  const failure = gatewayFailure(reason, message);
  passed.get(reply.request.raw)?.failed(failure);
  const context = { requestId: "", path: url.split("?", 1)[0] ?? url };
  const rendered = renderFailure("status", failure, [], context);
  return reply.code(rendered.status).type(rendered.contentType).send(rendered.body);
}
