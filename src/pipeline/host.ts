import type { BoundRoutes } from "../bindings/binding.js";
import { isHostHeader, trustedHost } from "../net/forwarded-list.js";
import { hostName } from "../net/host-table.js";
import type { HeaderReader } from "../server/engine.js";
import { type InboundRequest, noBody } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import type { HttpResponse } from "./context.js";

/** The routes at the host of a request; undefined where nothing is served there. */
export function routesAt(routes: BoundRoutes, header: HeaderReader): BoundRoutes | undefined {
  let found: BoundRoutes | undefined = routes;
  if (routes.hosts !== undefined) {
    const host = requestedHost(routes, header) ?? "";
    found = isHostHeader(host) ? routes.hosts.find(host) : undefined;
  }
  return found?.redirectPort === undefined ? found : undefined;
}

/** @throws GatewayError MISDIRECTED_REQUEST where that host is not served */
export function requireRoutesAt(routes: BoundRoutes, request: InboundRequest): BoundRoutes {
  const host = requestedHost(routes, name => request.header(name));
  const found = routes.hosts?.find(host);
  if (found !== undefined) return found;
  const message =
    host === undefined || host === ""
      ? "the request names no host; expected a Host header with one that is served here"
      : `the host ${hostName(host)} is not served here`;
  throw gatewayError("MISDIRECTED_REQUEST", message);
}

/**
 * The response that sends a client to the same host, path and query by HTTPS. The host is one that is served, or every
 * host is.
 * @throws GatewayError INVALID_HEADER where the request has no host
 */
export function redirect(request: InboundRequest, routes: BoundRoutes, port: number): HttpResponse {
  const host = requestedHost(routes, name => request.header(name)) ?? "";
  const name = hostName(host);
  if (name === "") throw gatewayError("INVALID_HEADER", "expected a Host header; only HTTPS is served");
  const { path, query } = request;
  if (!visible.test(path) || !visible.test(query))
    throw gatewayError("MALFORMED_PATH", "the path has characters that must be percent-encoded");
  const target = `${path.startsWith("/") ? path : "/"}${query === "" ? "" : `?${query}`}`;
  const location = `https://${name}${port === 443 ? "" : `:${port}`}${target}`;
  return { status: 308, headers: [["location", location]], body: noBody };
}

const visible = /^[\x21-\x7e]*$/;

/** The requested host, by trusted proxies where they name it. */
function requestedHost({ origins }: BoundRoutes, header: HeaderReader): string | undefined {
  const { trustedHops } = origins;
  const forwarded = trustedHops === 0 ? undefined : trustedHost(header("x-forwarded-host"), trustedHops);
  return forwarded ?? header("host");
}
