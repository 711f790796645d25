import { originMatcher } from "../auth/request-origins.js";
import type { HeaderList } from "../net/headers.js";
import type { CorsConfig, SecurityHeadersConfig } from "./config.js";

/** Which pages may read responses (Fetch standard, section 3.2), decided on header values alone. */
export interface Cors {
  /**
   * The headers of every response, of any status: a page can read only the errors that its origin may read.
   * @param origin the Origin header
   * @param rpc whether it is in the form of another protocol than REST
   */
  headers(origin: string | undefined, rpc?: boolean): HeaderList;
  /**
   * The further headers of the response to a preflight. It is sent with 204 before the guard, since a preflight has no
   * credentials. Undefined if the request is not a preflight, its origin is not allowed, or the path has no route.
   * @param requestMethod the Access-Control-Request-Method header of an OPTIONS request
   * @param allow the methods that the path has routes for, `*` for any
   * @param rpc whether other protocols than REST may be used there
   */
  preflight(
    origin: string | undefined,
    requestMethod: string | undefined,
    allow: readonly string[],
    rpc?: boolean,
  ): HeaderList | undefined;
}

/** The request headers that pages need for Connect and gRPC-Web, beside the configured ones. */
const rpcRequestHeaders = [
  "connect-accept-encoding",
  "connect-content-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-timeout",
  "x-grpc-web",
  "x-user-agent",
];
const rpcResponseHeaders = [
  "connect-content-encoding",
  "content-encoding",
  "grpc-encoding",
  "grpc-message",
  "grpc-status",
  "grpc-status-details-bin",
];

/** Where nothing is configured no page of another origin may call, and responses do not mention it. */
const noCors: Cors = { headers: () => [], preflight: () => undefined };

export function createCors(config: CorsConfig | undefined): Cors {
  if (config === undefined) return noCors;
  const forRest = headersByOrigin(config);
  const forRpc = headersByOrigin({ ...config, expose_headers: exposedToRpc(config) });
  const methods = config.methods && new Set(config.methods);
  const constantOf = (allowHeaders: readonly string[]): HeaderList => [
    ...(allowHeaders.length === 0
      ? []
      : [["access-control-allow-headers", allowHeaders.join(", ")] as const]),
    ["access-control-max-age", String(Math.floor(config.max_age / 1000))],
  ];
  const constantForRest = constantOf(config.allow_headers);
  const constantForRpc = constantOf([...new Set([...config.allow_headers, ...rpcRequestHeaders])]);
  return {
    headers: (origin, rpc = false) => {
      const byOrigin = rpc ? forRpc : forRest;
      return origin === undefined ? byOrigin.absent : (byOrigin.of(origin) ?? byOrigin.refused);
    },
    preflight: (origin, requestMethod, allow, rpc = false) => {
      if (origin === undefined || requestMethod === undefined || allow.length === 0) return undefined;
      if (forRest.of(origin) === undefined) return undefined;
      const constant = rpc ? constantForRpc : constantForRest;
      const allowed = allowedMethods(allow, requestMethod).filter(each => methods?.has(each) ?? true);
      return allowed.length === 0
        ? constant
        : [["access-control-allow-methods", allowed.join(", ")], ...constant];
    },
  };
}

/** Connect sends trailing metadata of unary calls as headers with a prefix. */
function exposedToRpc({ expose_headers }: CorsConfig): string[] {
  const trailing = expose_headers.map(name => `trailer-${name}`);
  return [...new Set([...expose_headers, ...trailing, ...rpcResponseHeaders])];
}

interface HeadersByOrigin {
  /** For a request without Origin. */
  readonly absent: HeaderList;
  /** For an origin that is not listed. */
  readonly refused: HeaderList;
  /** Undefined where the origin is not listed. */
  of(origin: string): HeaderList | undefined;
}

function headersByOrigin({ origins, credentials, expose_headers }: CorsConfig): HeadersByOrigin {
  const more: [string, string][] = [];
  if (credentials) more.push(["access-control-allow-credentials", "true"]);
  if (expose_headers.length > 0) more.push(["access-control-expose-headers", expose_headers.join(", ")]);
  if (origins.includes("*")) {
    const all: HeaderList = [["access-control-allow-origin", "*"], ...more];
    return { absent: all, refused: all, of: () => all };
  }
  const vary: HeaderList = [["vary", "Origin"]];
  const allowed = (origin: string): HeaderList => [...vary, ["access-control-allow-origin", origin], ...more];
  const listed = originMatcher(origins);
  const exact = new Map(origins.map(origin => [origin, allowed(origin)]));
  return {
    absent: vary,
    refused: vary,
    of: origin => exact.get(origin) ?? (listed(origin) ? allowed(origin) : undefined),
  };
}

const token = /^[A-Z-]{1,32}$/;

/** HEAD follows GET; a path for any method allows the requested one. */
function allowedMethods(allow: readonly string[], requestMethod: string): string[] {
  const all = new Set(allow);
  if (all.delete("*") && token.test(requestMethod)) all.add(requestMethod);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}

/** The security headers for browsers, by whether the connection is encrypted. */
export type SecurityHeaders = (encrypted: boolean) => HeaderList;

const defaults = { "x-content-type-options": "nosniff" } as const;

/** Only over TLS may it be sent (RFC 6797 §7.2). */
const transportSecurity = "strict-transport-security";

/** The defaults, overridden by the configuration; an empty value leaves a header out. */
export function securityHeaders(configured: SecurityHeadersConfig): SecurityHeaders {
  const values = new Map<string, string>(Object.entries(defaults));
  for (const [name, value] of Object.entries(configured)) values.set(name.toLowerCase(), value);
  const encrypted = [...values].filter(([, value]) => value !== "");
  const plain = encrypted.filter(([name]) => name !== transportSecurity);
  return secure => (secure ? encrypted : plain);
}
