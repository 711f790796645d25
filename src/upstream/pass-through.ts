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
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { BackendClient, type BackendRequest, badStatus, isFinalStatus } from "./pass-through-backend.js";
import { cutBody, passedBody } from "./pass-through-body.js";
import { backendFailure, refuse } from "./pass-through-failure.js";
import { repliedHeaders, ticketHeader, toldHeaders } from "./pass-through-headers.js";
import { backendTarget } from "./pass-through-path.js";
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

/** Requests that may come in one turn: above it connecting fails at once. The system may allow less. */
const privateBacklog = 65_535;

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
  const clients = targets.map(({ timeout, tls }) => new BackendClient(timeout, tls));
  targets.forEach((target, index) => {
    app.register(httpProxy, proxyOptions(target, clients[index] as BackendClient) as never);
  });
  const folder = socket ? mkdtempSync(join(tmpdir(), "protogate-")) : undefined;
  const socketPath = folder === undefined ? undefined : join(folder, "http.sock");
  const agent = new Agent({ keepAlive: true });
  if (socketPath === undefined) await app.ready();
  else await app.listen({ path: socketPath, backlog: privateBacklog });
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
    await Promise.all(clients.map(client => client.close()));
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
    return refuse(reply, applicationFailure(error as Error & { statusCode?: number }));
  });
  app.addHook("onSend", ({ raw }, _reply, payload, done) => {
    countReply(raw, payload);
    done();
  });
  return app;
}

function applicationFailure(error: Error & { statusCode?: number }): Failure {
  if (error.statusCode === 400) return gatewayFailure("MALFORMED_PATH", "the path leads out of its prefix");
  // The body of a reply that failed before any of it was sent.
  if (error instanceof GatewayError || bodyErrors.has(error)) return backendFailure(error);
  return gatewayFailure("INTERNAL", "the request could not be passed on");
}

/** What bodies of replies failed of. */
const bodyErrors = new WeakSet<Error>();

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
    bodyErrors.add(error);
    // The client has left, which the engine tells.
    if (error.code !== "UND_ERR_ABORTED" && error.name !== "AbortError") about.failed(backendFailure(error));
  });
}

function proxyOptions(target: PassThroughTarget, client: BackendClient): Parameters<typeof httpProxy>[1] {
  const { prefix, rewrite = prefix } = target;
  const ways = new WeakMap<IncomingMessage, BackendRequest>();
  return {
    prefix,
    rewritePrefix: rewrite,
    upstream: "",
    proxyPayloads: false as const,
    httpMethods: passedMethods,
    internalRewriteLocationHeader: false,
    undici: client as never,
    preHandler: (request, reply, done) => {
      const raw = request.raw as IncomingMessage;
      const upgrade = upgrades.get(raw);
      const path = backendTarget(request.url, prefix, rewrite);
      if (upgrade !== undefined) {
        passOnUpgrade(raw, reply as never, upgrade, target, path);
        return;
      }
      ways.set(raw, { target: path, signal: untilClosed(reply.raw as ServerResponse) });
      if (hasBody(raw.headers)) request.body = passedBody(raw, about(raw));
      done();
    },
    // An empty path would be taken for the request's own; the client has the whole target.
    handler: (_request, reply, path, options) => reply.from(path || "/", options),
    replyOptions: {
      getUpstream: () => target.next(),
      rewriteRequestHeaders: ({ raw }, headers) => {
        client.prepare(ways.get(raw as IncomingMessage));
        return toldHeaders(headers, about(raw as IncomingMessage)) as never;
      },
      rewriteHeaders: headers => repliedHeaders(headers, prefix, rewrite),
      // What a backend refuses it refuses to the client.
      retryDelay: () => null,
      onError: (reply, { error }) => void refuse(reply as unknown as FastifyReply, backendFailure(error)),
    },
  } satisfies Parameters<typeof httpProxy>[1];
}

/** Aborted when the response is over, whether all of it was sent or the client left. */
function untilClosed(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;
}

/** The hook of the application sees to it that each request has some. */
function about(request: IncomingMessage): Passed {
  return passed.get(request) as Passed;
}

function passOnUpgrade(
  raw: IncomingMessage,
  reply: FastifyReply,
  upgrade: Upgrade,
  target: PassThroughTarget,
  path: string,
): void {
  const { prefix, rewrite = prefix, timeout, tls } = target;
  const way = { origin: target.next(), target: path, timeout, tls };
  const own = {
    ...upgrade,
    answered: (status: number) => {
      reply.hijack();
      upgrade.answered(status);
    },
  };
  passUpgrade(raw, own, about(raw), way, {
    answered: answer => {
      const { statusCode = 0 } = answer;
      if (!isFinalStatus(statusCode)) {
        answer.destroy();
        refuse(reply, backendFailure(badStatus(statusCode)));
        return;
      }
      reply.code(statusCode).headers(repliedHeaders(answer.headers, prefix, rewrite));
      reply.send(answer);
    },
    failed: error => refuse(reply, backendFailure(error)),
  });
}
