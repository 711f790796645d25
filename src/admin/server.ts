import type https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import type { AdminRoute } from "../bindings/admin-route.js";
import { isLoopback } from "../config/address.js";
import { statusDialect } from "../dialects/status.js";
import { bearerCheck } from "../net/bearer.js";
import { errorMessage } from "../net/error-text.js";
import { isHostHeader } from "../net/forwarded-list.js";
import { pageFiles, pagePolicy } from "../net/page-files.js";
import { NodeCertificates, type RenewableTls, type ServerTls, type ShownTls } from "../net/server-tls.js";
import { withoutSchemas } from "../net/without-schemas.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { type MetricsFormat, metricsContentType, metricsFormat } from "../telemetry/exposition.js";
import { Operations, type OtherOperations } from "./operations.js";

/** Whether the gateway should get traffic, and the reasons. */
export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly message: string }>>;
}

export interface AdminAddress {
  /** A name or an IP address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface AdminOptions {
  readonly address: AdminAddress;
  /** PEM; undefined for plain HTTP. */
  readonly tls?: ShownTls | undefined;
  /** PEM: the authorities whose client certificates replace the token; needs `tls`. */
  readonly clientCa?: string | Buffer | undefined;
  /** Called at each request. Without it and `clientCa` every client is served. */
  readonly token?: () => string | undefined;
  readonly metrics: { text(format: MetricsFormat): Promise<string> };
  readonly ready: () => Readiness | Promise<Readiness>;
  /** The content of the status page. */
  readonly status: () => unknown;
  /** The resolved configuration with secrets already redacted; shown as JSON. */
  readonly config: () => unknown;
  /** The route table; shown as JSON. */
  readonly bindings: () => unknown;
  /** Further routes: the same list until one of them changes. */
  readonly routes?: () => readonly AdminRoute[];
  /** Serves requests for other routes. */
  readonly others?: OtherOperations;
}

export interface AdminServer extends RenewableTls {
  /** The bound address, with the port that was chosen. */
  readonly address: AdminAddress;
  /** Stops accepting and resolves once the requests under way have ended. */
  close(): Promise<void>;
}

const noRoutes: readonly AdminRoute[] = [];

/** Milliseconds that a client may take to send a request, or to read nothing of the response. */
const clientTimeoutMs = 30_000;

/**
 * Starts the listener for operators: the status page at `/` and its `/status`, `/metrics`, `/livez`, `/readyz`, `/config` and `/bindings`.
 * Bound to loopback, it serves no `Host` but local ones.
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot listen, Node's where key or certificate are bad
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  // A bad certificate does not end the connection: probes have none.
  const client = (ca = options.clientCa): Pick<ServerTls, "client"> =>
    ca === undefined ? {} : { client: { ca, required: false } };
  const certificates = options.tls && new NodeCertificates({ ...options.tls, ...client() });
  const app = fastify({
    ...withoutSchemas,
    https: certificates?.options ?? null,
    connectionTimeout: clientTimeoutMs,
    requestTimeout: clientTimeoutMs,
    frameworkErrors: (error, request, reply) =>
      refuse(reply, gatewayFailure("MALFORMED_PATH", error.message), request.url),
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  addGuards(app, options);
  addRoutes(app, options);
  await app.listen({ host: options.address.host, port: options.address.port });
  const { address, port } = app.server.address() as AddressInfo;
  return {
    address: { host: address, port },
    get shown() {
      return certificates?.shown;
    },
    // Callers renew only listeners that have certificates.
    renew: tls =>
      (certificates as NodeCertificates).prepare(app.server, { ...tls, ...client(tls.client?.ca) }),
    close: () => app.close(),
  };
}

type App = FastifyInstance<https.Server>;
type Request = FastifyRequest<{ Body: unknown }, https.Server>;
type Reply = FastifyReply<{ Body: unknown }, https.Server>;

function addGuards(app: App, options: AdminOptions): void {
  const { address, routes = () => noRoutes, others } = options;
  const identified = identification(options);
  const accepts = hostCheck(address.host);
  const operations = new Operations(routes);
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-content-type-options", "nosniff").header("cache-control", "no-store");
    const hosts = request.raw.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host");
    if (hosts.length > 1 || !isHostHeader(request.headers.host ?? "")) {
      const expected = "expected one Host header, a name or name:port (RFC 9112 §3.2)";
      return refuse(reply, gatewayFailure("MALFORMED_REQUEST", expected), request.url);
    }
    if (!accepts(request.headers.host)) {
      const message = `this listener serves local users only, not host ${JSON.stringify(request.headers.host)}`;
      return refuse(reply, gatewayFailure("MISDIRECTED_REQUEST", message), request.url);
    }
    if (isOpen(request.routeOptions.url ?? "") || identified(request)) return undefined;
    const { authorization } = request.headers;
    reply.header("www-authenticate", 'Bearer realm="admin"');
    return refuse(reply, unidentified(authorization !== undefined, options), request.url);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const path = pathOf(request.url);
    const operation = {
      method: request.method,
      path,
      query: request.url.slice(path.length + 1),
      contentType: request.headers["content-type"],
      origin: request.headers.origin,
      body: request.body instanceof Uint8Array ? request.body : new Uint8Array(0),
    };
    const response = (await operations.handle(operation)) ?? (await others?.handle(operation));
    if (response !== undefined) {
      reply.code(response.status);
      return response.body === undefined ? reply.send() : sendJson(reply, response.body);
    }
    if (app.hasRoute({ method: "GET", url: path })) {
      const message = `${request.method} is not served at ${path}, only GET and HEAD`;
      reply.header("allow", "GET, HEAD");
      return refuse(reply, gatewayFailure("METHOD_NOT_ALLOWED", message), path);
    }
    const paths = [...routes().map(each => each.path), ...((await others?.paths()) ?? [])];
    const more = new Set(paths.map(each => each.replace(/^(\/[^/]+)\/.*/, "$1/…")));
    const all = ["/", "/status", "/metrics", "/livez", "/readyz", "/config", "/bindings", ...more];
    const message = `nothing at ${path}; there is ${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
    return refuse(reply, gatewayFailure("ROUTE_NOT_FOUND", message), path);
  });
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof GatewayError) return refuse(reply, error.failure, request.url);
    const { statusCode } = error as { statusCode?: number };
    if (statusCode === 413)
      return refuse(reply, gatewayFailure("BODY_TOO_LARGE", "the body is limited to 1 MiB"), request.url);
    const message = errorMessage(error);
    return refuse(reply, gatewayFailure("INTERNAL", message), request.url);
  });
}

/**
 * The paths without credentials: those that orchestrators request, and the status page, which shows nothing until its
 * reader has entered the token. A browser sends no header when it opens a page.
 */
function isOpen(path: string): boolean {
  return path === "/livez" || path === "/readyz" || path === "/" || path.startsWith(pagePath);
}

/** Below it are the files of the status page. */
const pagePath = "/status/";

/** Checks whether a request has the credentials of an operator. */
function identification({ token = () => undefined, clientCa }: AdminOptions): (request: Request) => boolean {
  let current = token();
  let accepts = bearerCheck(current);
  return ({ raw, headers }) => {
    if (token() !== current) {
      current = token();
      accepts = bearerCheck(current);
    }
    if (clientCa === undefined) return accepts(headers.authorization);
    if ((raw.socket as TLSSocket).authorized) return true;
    return current !== undefined && accepts(headers.authorization);
  };
}

function unidentified(given: boolean, { token, clientCa }: AdminOptions): Failure {
  if (given && token?.() !== undefined)
    return gatewayFailure("CREDENTIALS_INVALID", "the token is not that of the admin listener");
  const ways = [
    ...(token?.() === undefined ? [] : ["authorization: Bearer with the token of listeners.admin"]),
    ...(clientCa === undefined ? [] : ["a client certificate of its authorities"]),
  ];
  const message = `this listener is for operators; expected ${ways.join(", or ")}`;
  return gatewayFailure("CREDENTIALS_MISSING", message);
}

function addRoutes(app: App, { metrics, ready, status, config, bindings }: AdminOptions): void {
  for (const { name, contentType, bytes } of pageFiles(new URL("./page/", import.meta.url))) {
    app.get(name === "index.html" ? "/" : `${pagePath}${name}`, (_request, reply) =>
      reply.headers(pageHeaders).type(contentType).send(bytes),
    );
  }
  app.get("/status", async (_request, reply) => sendJson(reply, await status()));
  app.get("/metrics", async (request, reply) => {
    const format = metricsFormat(request.headers.accept);
    return reply
      .type(metricsContentType(format))
      .header("vary", "accept")
      .send(await metrics.text(format));
  });
  app.get("/livez", (_request, reply) => reply.type("text/plain; charset=utf-8").send("ok"));
  app.get("/readyz", async (_request, reply) => {
    const readiness = await ready();
    return sendJson(reply.code(readiness.ready ? 200 : 503), readiness);
  });
  app.get("/config", async (_request, reply) => sendJson(reply, await config()));
  app.get("/bindings", async (_request, reply) => sendJson(reply, await bindings()));
}

const pageHeaders = {
  "content-security-policy": pagePolicy,
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

function sendJson(reply: Reply, value: unknown): Reply {
  return reply.type("application/json").send(JSON.stringify(value) ?? "null");
}

function refuse(reply: Reply, failure: Failure, url: string): Reply {
  const rendered = statusDialect.renderFailure(failure, [], { requestId: "", path: pathOf(url) });
  if (failure.allow !== undefined) reply.header("allow", failure.allow.join(", "));
  if (failure.retryAfter !== undefined) reply.header("retry-after", String(failure.retryAfter));
  return reply.code(rendered.status).type(rendered.contentType).send(rendered.body);
}

function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? url;
}

/** Any port may follow: a tunnel or a container's port mapping changes it. */
const hostPattern = /^(\[[^\]]*\]|[^:]*)(?::[0-9]*)?$/;

/**
 * Which `Host` headers a listener serves. A web page can make its own name resolve to a loopback address and so read
 * data that only local users should see (DNS rebinding), but it cannot make the browser send another name in `Host`.
 *
 * @param bound host that the listener is bound to, a name or an IP address without brackets
 * @returns true for each header to be served; always true where `bound` is not loopback
 */
export function hostCheck(bound: string): (header: string | undefined) => boolean {
  if (!isLoopback(bound)) return () => true;
  const allowed = new Set(["localhost", "127.0.0.1", "[::1]", inUrl(bound).toLowerCase()]);
  return header => {
    // Every browser sends one; HTTP/1.0 health checks may not.
    if (header === undefined) return true;
    const name = hostPattern.exec(header)?.[1];
    return name !== undefined && allowed.has(name.toLowerCase());
  };
}

function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
