import type { Authorizer, RoomAuthorizer } from "../auth/authorizer.js";
import { jointAuthorizer } from "../auth/authorizer.js";
import { type AuthNames, authNames } from "../auth/config.js";
import type { Identity } from "../auth/identity.js";
import { RequestOrigins } from "../auth/request-origins.js";
import type { BoundRoutes } from "../bindings/binding.js";
import type { BuiltInRoute, LocalHandler } from "../bindings/built-in-route.js";
import { type ExposedService, exposedServices } from "../bindings/exposed-services.js";
import { methodPolicy } from "../bindings/policy.js";
import type { Route } from "../bindings/route.js";
import type { MethodType, Model } from "../descriptors/model.js";
import { statusDialect } from "../dialects/status.js";
import { limitNames } from "../limits/config.js";
import type { CorsConfig } from "../pipeline/config.js";
import { createCors } from "../pipeline/response-headers.js";
import { restEndpoints } from "../realtime/api/rest.js";
import type { BridgeTarget, CallCheck } from "../realtime/bridge/bridge-plan.js";
import type { RealtimeConfig } from "../realtime/config.js";
import { fallbackEndpoints, fallbackRequestHeaders } from "../realtime/fallback/fallback-routes.js";
import type { FallbackSessions } from "../realtime/fallback/fallback-sessions.js";
import type { FeedTarget } from "../realtime/feeds/feeds.js";
import type { Realtime, RealtimeSettings } from "../realtime/realtime.js";
import { roomKindsOf } from "../realtime/rooms/room-kinds.js";
import { requireHandshake } from "../server/handshake.js";
import { type GatewayError, gatewayError } from "../status/failure.js";
import type { UpstreamConfig } from "../upstream/config.js";
import type { Validators } from "../validation/compile.js";
import { requireValid } from "../validation/validator.js";
import type { GatewayConfig } from "./config.js";
import type { Guards } from "./guards.js";

/** Serves rooms and sockets; it outlives generations. */
export interface Rooms {
  readonly realtime: Realtime;
  /** The sessions without a WebSocket. */
  readonly fallback: FallbackSessions;
}

/** The parts of one generation that sockets use. */
export interface RealtimeParts {
  readonly settings: Omit<RealtimeSettings, "bridge">;
  /** The backends that sockets call; undefined where they call none. */
  readonly target: BridgeTarget | undefined;
  readonly feeds: FeedTarget;
  /** The routes of the realtime listener beside its sockets. Acquired as long as the parts are used. */
  readonly routes: BoundRoutes;
  /** The headers of all responses of the HTTP listener, those to upgrades as well. */
  readonly httpHeaders: BoundRoutes["responseHeaders"];
}

/** The authentication of sockets. */
export function socketAuth({ auth }: GatewayConfig, realtime: RealtimeConfig): AuthNames {
  return authNames(realtime.auth ?? auth.default);
}

/** The routes of rooms and sockets on their own listener and on the HTTP listener. */
export interface RealtimeHandlers {
  /** The rooms' REST API; none where it is not written. */
  readonly rest: readonly LocalHandler[];
  /** Those at the path of the sockets; none without `realtime`. */
  readonly path: readonly LocalHandler[];
  /** Whether the HTTP listener serves sockets, too. */
  readonly pathOnHttp: boolean;
}

export function realtimeHandlers(config: GatewayConfig, rooms: Rooms): RealtimeHandlers {
  const section = config.realtime;
  if (section === undefined) return { rest: [], path: [], pathOnHttp: false };
  const { rest: prefix, rate_limit: rateLimit } = section;
  const auth = socketAuth(config, section);
  return {
    rest: prefix === undefined ? [] : restEndpoints(() => rooms.realtime, { prefix, auth, rateLimit }),
    path: socketEndpoints(config, section, rooms),
    pathOnHttp: section.path !== undefined,
  };
}

/** Whether a route is the path of the sockets. */
export function isSocketPath(route: Route | BuiltInRoute): boolean {
  return route.kind === "local" && route.handler.at[0] === "realtime" && route.handler.at[1] === "path";
}

/** The path of the sockets, for requests that are no upgrade. */
function socketEndpoints(
  config: GatewayConfig,
  section: RealtimeConfig,
  rooms: Rooms,
): readonly LocalHandler[] {
  const endpoint = {
    method: "GET",
    template: socketPath(section),
    at: ["realtime", "path"],
    service: "realtime",
    auth: socketAuth(config, section),
    rateLimit: section.rate_limit,
    guard: closedGate(rooms, socketPath(section)),
    dialect: statusDialect,
    bodyLimit: undefined,
    handle(): never {
      throw new Error("sockets are opened by an upgrade, never by a request");
    },
  };
  if (section.transports.every(transport => transport === "websocket")) return [endpoint];
  const { origins } = section;
  const cors = createCors({
    origins: [...origins],
    allow_headers: [...new Set([...fallbackRequestHeaders, ...(config.http.cors?.allow_headers ?? [])])],
    expose_headers: ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
    // Cookies count from listed origins alone.
    credentials: !origins.includes("*"),
    max_age: 600_000,
  });
  return fallbackEndpoints(endpoint, section, {
    sessions: () => rooms.fallback,
    cors: origin => cors.headers(origin),
    preflight: request =>
      cors.preflight(request.header("origin"), request.header("access-control-request-method"), [
        "DELETE",
        "GET",
        "POST",
      ]),
  });
}

/** Where sockets are opened. */
export function socketPath({ path }: RealtimeConfig): string {
  return path === undefined ? "/ws" : path || "/";
}

/**
 * The response to requests at the path of the sockets in the router. Listeners accept upgrades before that: the rest is
 * malformed by RFC 6455, or has another spelling of the path, which listeners compare byte for byte.
 */
function closedGate(rooms: Rooms, socketPath: string): NonNullable<LocalHandler["guard"]> {
  return {
    admit(caller, path) {
      if (path !== socketPath) throw notServed();
      try {
        requireHandshake(name => caller.header(name));
      } catch (error) {
        rooms.realtime.metrics.upgrade("malformed");
        throw error;
      }
      throw notServed();
    },
  };
}

function notServed(): GatewayError {
  return gatewayError("ROUTE_NOT_FOUND", "no WebSocket is served here");
}

/** The guards of sockets and rooms. */
export type SocketGuard = Pick<
  RealtimeSettings,
  "authenticator" | "limiters" | "authorizer" | "roomPolicy" | "roomTokens"
>;

/** Before the first generation is used no socket may. */
export const closedSocketGuard: SocketGuard = {
  authenticator: () => {
    throw new Error("no generation is in use yet");
  },
  limiters: [],
  roomPolicy: undefined,
};

/** @param authorizer of the route at the path of the sockets */
export function socketGuard(
  config: GatewayConfig,
  section: RealtimeConfig,
  { authenticators, limits }: Guards,
  authorizer: Authorizer | undefined,
  roomPolicy: RoomAuthorizer | undefined,
): SocketGuard {
  return {
    authenticator: authenticators.authenticatorOf(socketAuth(config, section)),
    limiters: limits.limitersOf(limitNames(section.rate_limit)),
    authorizer,
    roomPolicy,
    roomTokens: provider => authenticators.authenticatorOf([provider]),
  };
}

/** The settings of sockets in a configuration, in the form in which they use them. */
export function realtimeSettings(
  { http }: GatewayConfig,
  section: RealtimeConfig,
  guard: SocketGuard,
): RealtimeParts["settings"] {
  return {
    origins: new RequestOrigins(section.origins, http.forwarded.trusted_hops),
    ...guard,
    path: socketPath(section),
    rooms: section.rooms !== false,
    kinds: roomKindsOf(section),
    sessions: section.sessions,
    webSockets: section.transports.includes("websocket"),
    closesRefused: section.refusals === "close",
    sentAt: section.sent_at,
    limits: {
      message: section.limits.message,
      roomsPerConnection: section.limits.rooms_per_connection,
      messagesPerSecond: section.limits.messages_per_second,
      burst: section.limits.burst,
      connections: section.limits.connections,
    },
    backpressure: section.backpressure,
  };
}

/**
 * The HTTP settings of the realtime listener: the rooms' REST API is under the same limits, providers and policies as
 * on the HTTP listener. Pages that may open sockets may read the responses.
 */
export function socketListenerHttp({ http }: GatewayConfig, section: RealtimeConfig): GatewayConfig["http"] {
  const { cors: _, ...others } = http;
  const cors = corsOf(http, section);
  return { ...others, errors: "chat-api", ...(cors && { cors }) };
}

function corsOf(http: GatewayConfig["http"], { origins }: RealtimeConfig): CorsConfig | undefined {
  if (origins.length === 0) return undefined;
  return {
    allow_headers: ["authorization", "content-type", "x-request-id"],
    expose_headers: ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
    max_age: 600_000,
    ...http.cors,
    origins: [...origins],
    // Cookies count from listed origins alone.
    credentials: !origins.includes("*"),
  };
}

/** The rules for calls by sockets. */
export interface SocketCallRules {
  readonly model: Model;
  readonly routes: readonly Route[];
  readonly authorizers: ReadonlyMap<Route | BuiltInRoute, Authorizer>;
  readonly callAuthorizers: ReadonlyMap<MethodType, Authorizer>;
  readonly validators: Validators;
}

/**
 * Whether a socket may call a method: all conditions of any of the method's routes are checked here
 * too, so that a socket does not bypass a policy.
 */
export function callCheck(
  config: GatewayConfig,
  { model, routes, authorizers, callAuthorizers, validators }: SocketCallRules,
): CallCheck {
  const checks = new Map<MethodType, MethodCheck>();
  const exposed = exposedServices(config, model);
  return (session, method, message) => {
    let check = checks.get(method);
    if (check === undefined) {
      const names = authOfMethod(config, exposed, method);
      check = methodCheck(names, method, routes, authorizers, callAuthorizers.get(method));
      checks.set(method, check);
    }
    check(session.identity, message);
    requireValid(message, validators.byType.get(method.input));
  };
}

type MethodCheck = (identity: Identity | undefined, message: Uint8Array) => void;

function methodCheck(
  names: AuthNames,
  method: MethodType,
  routes: readonly Route[],
  authorizers: ReadonlyMap<Route | BuiltInRoute, Authorizer>,
  own: Authorizer | undefined,
): MethodCheck {
  const ofRoutes = routes.filter(({ rpc }) => rpc === method).map(route => authorizers.get(route));
  const authorizer = jointAuthorizer([own, ...ofRoutes], "over a WebSocket");
  return (identity, message) => {
    if (names !== "none" && (identity === undefined || !names.includes(identity.provider))) {
      throw gatewayError(
        "CREDENTIALS_MISSING",
        "the method requires other credentials than those that the socket was opened with",
      );
    }
    authorizer?.before(identity, []);
    authorizer?.after?.(identity, message, []);
  };
}

function authOfMethod(
  config: GatewayConfig,
  exposed: ReadonlyMap<string, ExposedService>,
  method: MethodType,
): AuthNames {
  const service = exposed.get(method.service.fullName)?.config;
  if (service === undefined) return authNames(config.auth.default);
  // Loading has checked that the upstream exists.
  const upstream = config.upstreams[service.upstream] as UpstreamConfig;
  return methodPolicy(config, service, upstream, method.name).auth;
}

/** For a configuration without `realtime`, which never uses them. */
export const noRooms: Rooms = {
  get realtime(): never {
    throw new Error("the configuration has no rooms");
  },
  get fallback(): never {
    throw new Error("the configuration has no rooms");
  },
};
