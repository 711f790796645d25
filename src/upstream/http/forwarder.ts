import { EventEmitter, once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, METHODS, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import httpProxy from "@fastify/http-proxy";
import Fastify, { type FastifyInstance } from "fastify";
import { withoutSchemas } from "../../net/without-schemas.js";
import { GatewayError } from "../../status/failure.js";
import {
  BackendClient,
  type BackendClientOptions,
  type BackendRequest,
  type BackendResponse,
} from "./client.js";
import { backendFailure, backendTarget, clientHeaders } from "./message.js";
import { joinSockets, requestUpgrade, type UpgradeResponse } from "./upgrade.js";

/** Requests below one prefix that go to an HTTP backend as they are. */
export interface ForwardedPrefix extends BackendClientOptions {
  /** `/legacy`, without `/` at its end. */
  readonly prefix: string;
  /** Replaces the prefix; undefined: the prefix stays. */
  readonly rewrite: string | undefined;
  /** Where the next request goes, such as `http://10.0.0.9:8080`. */
  next(): string;
}

/** Sends the requests below one prefix to their backend. */
export interface Forwarder {
  /** Path and query for the backend. @throws GatewayError MALFORMED_PATH */
  target(path: string, query: string): string;
  /** Rejects with a GatewayError UPSTREAM_UNAVAILABLE, UPSTREAM_TIMEOUT, UPSTREAM_PROTOCOL, or the body's error. */
  send(request: BackendRequest): Promise<BackendResponse>;
  /** Requests a WebSocket. Rejects like `send`. */
  upgrade(request: BackendRequest): Promise<UpgradeResponse>;
  /** Joins a client and its backend once both have agreed on a WebSocket. */
  join(client: Duplex, backend: Socket): void;
}

/** All prefixes of one configuration, by themselves. */
export interface Forwarders {
  of(prefix: string): Forwarder;
  /** Resolves once no WebSocket is open. */
  whenIdle(): Promise<void>;
  /** Ends all requests under way. */
  close(): Promise<void>;
}

/**
 * `@fastify/http-proxy` takes requests from a Fastify application. This one does not listen: a request is handed to its
 * router as an object, and the response is taken from the proxy before Fastify would write it anywhere.
 */
export async function createForwarders(prefixes: readonly ForwardedPrefix[]): Promise<Forwarders> {
  const app = createApp();
  const clients: BackendClient[] = [];
  const open = new Set<Duplex>();
  const byPrefix = new Map<string, Forwarder>();
  for (const [index, prefix] of prefixes.entries()) {
    const client = new BackendClient(prefix);
    clients.push(client);
    const url = `/${index}`;
    app.register(httpProxy, proxyOptions(url, prefix, client) as never);
    const { rewrite = prefix.prefix } = prefix;
    byPrefix.set(prefix.prefix, {
      target: (path, query) => backendTarget(path, query, prefix.prefix, rewrite),
      send: request =>
        new Promise((resolve, reject) => {
          const raw = new ForwardedMessage(url, request, resolve, reject);
          app.routing(raw as unknown as IncomingMessage, new EventEmitter() as unknown as ServerResponse);
        }),
      upgrade: async request => {
        const origin = prefix.next();
        request.sentTo(origin);
        const response = await requestUpgrade(request, origin, prefix);
        if (response.kind === "switched") return response;
        return { ...response, headers: clientHeaders(response.headers, prefix.prefix, rewrite) };
      },
      join: (socket, backend) => {
        open.add(socket);
        socket.once("close", () => open.delete(socket));
        joinSockets(socket, backend, prefix.timeoutMs);
      },
    });
  }
  await app.ready();
  return {
    of: prefix => byPrefix.get(prefix) as Forwarder,
    async whenIdle() {
      while (open.size > 0) await Promise.all(Array.from(open, socket => once(socket, "close")));
    },
    async close() {
      for (const socket of open) socket.destroy();
      await app.close();
      await Promise.all(clients.map(client => client.close()));
    },
  };
}

function createApp(): FastifyInstance {
  const app = Fastify({
    ...withoutSchemas,
    logger: false,
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  // Bodies of all types are streamed, so that Fastify must not parse them.
  for (const method of forwardedMethods)
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true } as { hasBody: boolean });
  app.setErrorHandler((error, { raw }, reply) => {
    reply.hijack();
    forwarded(raw).reject(error as Error);
  });
  return app;
}

/** The methods of Node.js without those never forwarded: CONNECT (a tunnel) and TRACE (an echo of the request). */
const forwardedMethods = METHODS.filter(method => method !== "CONNECT" && method !== "TRACE");

/** As much of a request of Node.js as Fastify and the proxy look at. */
class ForwardedMessage {
  readonly method: string;
  readonly headers = {};
  readonly httpVersionMajor = 1;
  readonly complete = true;
  readonly aborted = false;
  responseHeaders: IncomingHttpHeaders = {};

  constructor(
    readonly url: string,
    readonly request: BackendRequest,
    readonly resolve: (response: BackendResponse) => void,
    readonly reject: (error: Error) => void,
  ) {
    this.method = request.method;
  }
}

/** A response as `@fastify/reply-from` really passes it, unlike its types. */
interface ProxiedResponse {
  readonly statusCode: number;
  readonly stream: BackendResponse["body"];
}

/** All requests of the application are of this kind. */
function forwarded(raw: unknown): ForwardedMessage {
  return raw as ForwardedMessage;
}

function proxyOptions(
  url: string,
  { prefix, rewrite = prefix, next }: ForwardedPrefix,
  client: BackendClient,
): Parameters<typeof httpProxy>[1] {
  return {
    prefix: url,
    rewritePrefix: "/",
    upstream: "",
    proxyPayloads: false as const,
    httpMethods: forwardedMethods,
    internalRewriteLocationHeader: false,
    undici: client as never,
    preHandler: (request, _reply, done) => {
      request.body = forwarded(request.raw).request.body;
      done();
    },
    // Without the reply as its result Fastify leaves it alone.
    handler: (_request, reply, path, options) => {
      reply.from(path, options);
    },
    replyOptions: {
      getUpstream: next,
      rewriteRequestHeaders: ({ raw }, { host }) => {
        const { request } = forwarded(raw);
        client.prepare(request);
        return { ...request.headers, host };
      },
      rewriteHeaders: (headers, request) => {
        forwarded(request?.raw).responseHeaders = clientHeaders(headers, prefix, rewrite);
        // Fastify need not keep any.
        return {};
      },
      // A refusal of the backend goes to the client.
      retryDelay: () => null,
      onResponse: ({ raw }, reply, response) => {
        reply.hijack();
        const { statusCode: status, stream: body } = response as unknown as ProxiedResponse;
        const { responseHeaders: headers, resolve } = forwarded(raw);
        resolve({ status, headers, body });
      },
      onError: (reply, { error }) => {
        reply.hijack();
        forwarded(reply.request.raw).reject(new GatewayError(backendFailure(error)));
      },
    },
  } satisfies Parameters<typeof httpProxy>[1];
}
