import type { Authorizer } from "../auth/authorizer.js";
import type { Identity } from "../auth/identity.js";
import { RequestOrigins } from "../auth/request-origins.js";
import type { Endpoint } from "../bindings/endpoint.js";
import { type ExposedService, exposedServices } from "../bindings/exposed-services.js";
import type { OwnRoute } from "../bindings/own-route.js";
import type { Route } from "../bindings/route.js";
import { type AuthNames, authNames } from "../config/auth-schema.js";
import { methodPolicy } from "../config/method-policy.js";
import { limitNames } from "../config/rate-limit-schema.js";
import type { Config, RealtimeConfig, UpstreamConfig } from "../config/schema.js";
import type { MethodType } from "../descriptors/model.js";
import { statusDialect } from "../dialects/status.js";
import { restEndpoints } from "../realtime/api/rest.js";
import type { Bridge } from "../realtime/bridge/bridge.js";
import type { CallCheck } from "../realtime/bridge/bridge-plan.js";
import type { RealtimeSettings } from "../realtime/realtime.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import type { Compiled } from "./compile.js";
import type { Protection } from "./protection.js";
import { closedGate } from "./realtime-gate.js";
import type { Rooms } from "./runtime.js";

/** Who may open a socket. */
export function socketAuth({ auth }: Config, realtime: RealtimeConfig): AuthNames {
  return authNames(realtime.auth ?? auth.default);
}

/** What rooms and sockets answer on their own listener and on the HTTP listener. */
export interface RealtimeEndpoints {
  /** The rooms' REST API; none where it is not written. */
  readonly rest: readonly Endpoint[];
  /** The path of the sockets; undefined without `realtime`. */
  readonly path: Endpoint | undefined;
  /** Whether the HTTP listener serves sockets, too. */
  readonly pathOnHttp: boolean;
}

export function realtimeEndpoints(config: Config, rooms: () => Rooms): RealtimeEndpoints {
  const section = config.realtime;
  if (section === undefined) return { rest: [], path: undefined, pathOnHttp: false };
  const { rest: prefix, rate_limit: rateLimit } = section;
  const auth = socketAuth(config, section);
  return {
    rest: prefix === undefined ? [] : restEndpoints(() => rooms().realtime, { prefix, auth, rateLimit }),
    path: socketEndpoint(config, section, rooms),
    pathOnHttp: servesHttp(section),
  };
}

/** Whether the HTTP listener serves sockets. */
export function servesHttp({ path }: RealtimeConfig): boolean {
  return path !== undefined;
}

/** The path of the sockets, for requests that are no upgrade. */
function socketEndpoint(config: Config, section: RealtimeConfig, rooms: () => Rooms): Endpoint {
  return {
    method: "GET",
    template: socketPath(section),
    at: ["realtime", "path"],
    service: "realtime",
    auth: socketAuth(config, section),
    rateLimit: section.rate_limit,
    guard: closedGate(rooms, socketPath(section)),
    dialect: statusDialect,
    bodyLimit: undefined,
    answer() {
      throw new Error("the gate lets nobody through");
    },
  };
}

/** Where sockets are opened. */
export function socketPath({ path }: RealtimeConfig): string {
  return path === undefined ? "/ws" : path || "/";
}

/** What a loaded configuration says of sockets, in the form in which they use it. */
export function realtimeSettings(
  { loaded: { config }, rooms, realtimeOwn, authorizers: policies }: Compiled,
  realtime: RealtimeConfig,
  { authenticators, limits }: Protection,
  bridge: Bridge,
): RealtimeSettings {
  const path = socketPath(realtime);
  const route = realtimeOwn.find(({ method, template }) => method === "GET" && template.text === path);
  return {
    origins: new RequestOrigins(realtime.origins, config.http.forwarded.trusted_hops),
    authenticator: authenticators.authenticatorOf(socketAuth(config, realtime)),
    limiters: limits.limitersOf(limitNames(realtime.rate_limit)),
    authorizer: route && policies.get(route),
    rooms: realtime.rooms,
    roomPolicy: rooms,
    bridge,
    sentAt: realtime.sent_at,
    limits: {
      message: realtime.limits.message,
      roomsPerConnection: realtime.limits.rooms_per_connection,
      messagesPerSecond: realtime.limits.messages_per_second,
      burst: realtime.limits.burst,
      connections: realtime.limits.connections,
    },
    backpressure: realtime.backpressure,
  };
}

/**
 * Whether a socket may call a method: all that would be asked of the caller on any of the method's routes is asked here
 * too, so that a socket is no way around a policy.
 */
export function callCheck({
  loaded: { config },
  model,
  routes,
  authorizers,
  callAuthorizers,
  validators,
}: Compiled): CallCheck {
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
    const violations = validators.byType.get(method.input)?.(message) ?? [];
    const [first] = violations;
    if (first !== undefined) {
      const text = `${first.field === "" ? "" : `${first.field}: `}${first.description}`;
      throw new GatewayError(gatewayFailure("VALIDATION_FAILED", text, violations));
    }
  };
}

type MethodCheck = (identity: Identity | undefined, message: Uint8Array) => void;

function methodCheck(
  names: AuthNames,
  method: MethodType,
  routes: readonly Route[],
  authorizers: ReadonlyMap<Route | OwnRoute, Authorizer>,
  own: Authorizer | undefined,
): MethodCheck {
  const demanded = [own, ...routes.filter(({ rpc }) => rpc === method).map(route => authorizers.get(route))];
  const all = demanded.filter(each => each !== undefined);
  return (identity, message) => {
    if (names !== "none" && (identity === undefined || !names.includes(identity.provider))) {
      throw refuse(
        "CREDENTIALS_MISSING",
        "the method asks for other credentials than the socket was opened with",
      );
    }
    for (const authorizer of all) {
      // What a policy says of paths cannot be told of a call that has none.
      if (authorizer.usesPath)
        throw refuse("POLICY_DENIED", "a policy on paths guards the method; use its route");
      authorizer.before(identity, []);
      authorizer.after?.(identity, message, []);
    }
  };
}

function authOfMethod(
  config: Config,
  exposed: ReadonlyMap<string, ExposedService>,
  method: MethodType,
): AuthNames {
  const service = exposed.get(method.service.fullName)?.config;
  if (service === undefined) return authNames(config.auth.default);
  // Loading has checked that the upstream exists.
  const upstream = config.upstreams[service.upstream] as UpstreamConfig;
  return methodPolicy(config, service, upstream, method.name).auth;
}

function refuse(reason: Parameters<typeof gatewayFailure>[0], message: string): GatewayError {
  return new GatewayError(gatewayFailure(reason, message));
}
