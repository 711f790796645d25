import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  METHODS,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import httpProxy from "@fastify/http-proxy";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { type Failure, gatewayFailure } from "../status/failure.js";
import { cutBody, passedBody } from "./pass-through-body.js";
import { backendFailure, refuse } from "./pass-through-failure.js";
import { repliedHeaders, ticketHeader, toldHeaders } from "./pass-through-headers.js";
import { type Passed, passed } from "./pass-through-request.js";
import { passUpgrade, type Upgrade } from "./pass-through-upgrade.js";

export type { Passed, PassedHeaders } from "./pass-through-request.js";

/** Requests below one prefix that go to an HTTP backend as they are. */
export interface PassThroughTarget {
  /** `/legacy`, without `/` at its end. */
  readonly prefix: string;
  /** What stands in place of the prefix; undefined: the prefix stays. */
  readonly rewrite: string | undefined;
  readonly websocket: boolean;
  /** Where the next request goes, such as `http://10.0.0.9:8080`. */
  next(): string;
  /** Milliseconds for the head of a reply, and between two parts of its body. */
  readonly timeout: number;
  readonly tls: PassThroughTls | undefined;
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
  /** Passes a request for a WebSocket on, whose connection is the response's until it is one. */
  upgrade(request: IncomingMessage, upgrade: Upgrade, passed: Passed): void;
  /** The rest of the body of a request will not come: it is answered so, unless its reply has begun. */
  cut(request: IncomingMessage, failure: Failure): void;
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

/** Bytes of a request's head on the private socket: more than a listener can be configured to take. */
const privateHead = 4 << 20;

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** @param socket whether `privately` is used */
export async function createPassThrough(
  targets: readonly PassThroughTarget[],
  socket: boolean,
): Promise<PassThrough> {
  const app = createApp();
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
  const open = new Set<Duplex>();
  let closing: Promise<void> | undefined;
  return {
    handle(request, response, about) {
      passed.set(request, about);
      app.routing(request, response);
    },
    upgrade(request, upgrade, about) {
      const { socket } = request;
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      upgrades.set(request, upgrade);
      passed.set(request, about);
      app.routing(request, upgrade.response);
    },
    cut: cutBody,
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

function createApp(): FastifyInstance {
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    http: { maxHeaderSize: privateHead, joinDuplicateHeaders: true },
  }) as unknown as FastifyInstance;
  // Bodies are streamed whatever they are, so that Fastify is not to look at their types.
  for (const method of passedMethods)
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true } as { hasBody: boolean });
  app.setNotFoundHandler((_request, reply) => refuse(reply, gatewayFailure("ROUTE_NOT_FOUND", "no route")));
  app.setErrorHandler((error, _request, reply) => {
    const { statusCode, code } = error as { statusCode?: number; code?: string };
    if (statusCode === 400)
      return refuse(reply, gatewayFailure("MALFORMED_PATH", "the path leads out of its prefix"));
    // A body of which nothing has been sent; any other fault is one of the application.
    if (code !== undefined && !code.startsWith("FST_")) return refuse(reply, backendFailure(error as Error));
    return refuse(reply, gatewayFailure("INTERNAL", "the request could not be passed on"));
  });
  app.addHook("onSend", ({ raw }, _reply, payload, done) => {
    countReply(raw, payload);
    done();
  });
  return app;
}

/** What Node.js can read, but what no backend is asked: a tunnel, and to say what it was asked. */
const passedMethods = METHODS.filter(method => method !== "CONNECT" && method !== "TRACE");

function countReply(request: IncomingMessage, payload: unknown): void {
  const about = passed.get(request);
  if (about === undefined || request.method === "HEAD") return;
  if (typeof payload === "string") about.sent(Buffer.byteLength(payload));
  if (typeof payload !== "object" || payload === null || !("pipe" in payload)) return;
  const stream = payload as Readable;
  stream.on("data", (chunk: Buffer) => about.sent(chunk.length));
  stream.on("error", (error: Error & { code?: string }) => {
    // The client has left, which the engine tells.
    if (error.code !== "UND_ERR_ABORTED") about.failed(backendFailure(error));
  });
}

function proxyOptions(target: PassThroughTarget): Parameters<typeof httpProxy>[1] {
  const { prefix, rewrite = prefix, timeout, tls } = target;
  return {
    prefix,
    rewritePrefix: rewrite,
    upstream: "",
    proxyPayloads: false as const,
    httpMethods: passedMethods,
    internalRewriteLocationHeader: false,
    undici: {
      connections: 128,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      // Else no certificate would be asked for.
      connect: { rejectUnauthorized: true, ...tls },
    },
    preHandler: (request, reply, done) => {
      const upgrade = upgrades.get(request.raw as IncomingMessage);
      if (upgrade !== undefined) {
        passOnUpgrade(request as never, reply as never, upgrade, target);
        return;
      }
      const raw = request.raw as IncomingMessage;
      if (hasBody(raw.headers)) request.body = passedBody(raw, about(raw));
      done();
    },
    replyOptions: {
      getUpstream: () => target.next(),
      rewriteRequestHeaders: ({ raw }, headers) =>
        toldHeaders(headers, about(raw as IncomingMessage)) as never,
      rewriteHeaders: headers => repliedHeaders(headers, prefix, rewrite),
      // What a backend refuses it refuses to the client.
      retryDelay: () => null,
      onError: (reply, { error }) => void refuse(reply as unknown as FastifyReply, backendFailure(error)),
    },
  } satisfies Parameters<typeof httpProxy>[1];
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}

/** The hook of the application sees to it that each request has some. */
function about(request: IncomingMessage): Passed {
  return passed.get(request) as Passed;
}

function passOnUpgrade(
  { raw, url, params }: FastifyRequest,
  reply: FastifyReply,
  upgrade: Upgrade,
  target: PassThroughTarget,
): void {
  const { prefix, rewrite = prefix, timeout, tls } = target;
  // Checks that the path stays below its prefix, but writes the query anew.
  const [path] = (reply as unknown as Mapped).fromParameters(url, params, prefix).url.split("?", 1);
  const mark = url.indexOf("?");
  const way = { origin: target.next(), target: `${path}${mark < 0 ? "" : url.slice(mark)}`, timeout, tls };
  const own = {
    ...upgrade,
    answered: (status: number) => {
      reply.hijack();
      upgrade.answered(status);
    },
  };
  passUpgrade(raw, own, about(raw), way, {
    answered: answer => {
      reply.code(answer.statusCode ?? 502).headers(repliedHeaders(answer.headers, prefix, rewrite));
      reply.send(answer);
    },
    failed: error => refuse(reply, backendFailure(error)),
  });
}

/** What `@fastify/http-proxy` adds to replies. */
interface Mapped {
  fromParameters(url: string, params: unknown, prefix: string): { readonly url: string };
}
