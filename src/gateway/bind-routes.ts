import type { Authorizer } from "../auth/authorizer.js";
import type { AuthNames } from "../auth/config.js";
import { RequestOrigins } from "../auth/request-origins.js";
import type {
  Binding,
  BoundRoutes,
  DetailRenderer,
  LocalBinding,
  PassThroughBinding,
  RpcBinding,
} from "../bindings/binding.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf } from "../bindings/conditions.js";
import { Guard } from "../bindings/guard.js";
import type { RoutePolicy } from "../bindings/policy.js";
import type { Route } from "../bindings/route.js";
import { routerOf } from "../bindings/route-table.js";
import { type Codecs, createCodecs } from "../codec/codecs.js";
import { Compression } from "../compression/compression.js";
import type { Dialect } from "../dialects/dialect.js";
import { dialects } from "../dialects/dialects.js";
import { statusDialect } from "../dialects/status.js";
import { limitNames } from "../limits/config.js";
import type { Pace } from "../net/pace.js";
import { createCors, securityHeaders } from "../pipeline/response-headers.js";
import type { Template } from "../routing/template.js";
import type { Metrics, RouteMetrics } from "../telemetry/metrics.js";
import type { FormLimits } from "../uploads/forms.js";
import type { Channel } from "../upstream/channel.js";
import type { Forwarders } from "../upstream/http/forwarder.js";
import type { Validate } from "../validation/validator.js";
import type { Backends } from "./backends.js";
import type { Compiled } from "./compile.js";
import type { GatewayConfig } from "./config.js";
import type { Guards } from "./guards.js";
import type { RefCount } from "./ref-count.js";
import type { Runtime } from "./runtime.js";

/** The resources that the bindings of a generation use. */
export interface BindContext {
  readonly compiled: Compiled;
  readonly backends: Backends;
  readonly guards: Guards;
  /** The channel that a route names as its upstream. Loading has checked that there is one. */
  channel(upstream: string): Channel;
  /** By the names of the upstreams with reflection. */
  readonly details: ReadonlyMap<string, DetailRenderer>;
  /** The requests that hold the generation. */
  readonly requests: RefCount;
  readonly runtime: Runtime;
  readonly pace: Pace;
}

/**
 * Binds compiled routes to channels, guards and metrics, in turns of the event loop.
 * @param http the settings of the listener that serves them
 * @param parted whether listeners or hosts get routers over parts of them, and none uses that of all
 * @returns with `all`, from which `routes.bindings` leaves out bindings without a route of their own
 */
export async function bindRoutes(
  routes: readonly (Route | BuiltInRoute)[],
  http: GatewayConfig["http"],
  context: BindContext,
  parted = false,
): Promise<{ readonly routes: BoundRoutes; readonly all: readonly Binding[] }> {
  const { compiled, requests, pace } = context;
  const shared = sharedParts(http, context);
  const bindings: Binding[] = [];
  const all: Binding[] = [];
  for (const route of routes) {
    const binding = bind(route, http, context, shared);
    all.push(binding);
    if (binding.kind !== "rpc" || route.kind !== "rpc" || route.rest) bindings.push(binding);
    if (pace.spent(bindUnits)) await pace.nextTurn();
  }
  const router = await routerOf(parted ? [] : all, binding => binding, pace);
  const bound: BoundRoutes = {
    router,
    bindings,
    hosts: undefined,
    redirectPort: undefined,
    sockets: true,
    generation: requests,
    ...responseHeaders(http),
    dialect: dialects[http.errors],
    origins: new RequestOrigins(http.cors?.origins ?? [], http.forwarded.trusted_hops),
    compression: http.compression && new Compression(http.compression),
    renderDetail: detailPrinter(compiled, http.limits.depth),
    acquire: () => requests.acquire(),
    release: () => requests.release(),
  };
  return { routes: bound, all };
}

/** Units for binding one route. */
const bindUnits = 10;

function bind(
  route: Route | BuiltInRoute,
  http: GatewayConfig["http"],
  context: BindContext,
  shared: (policy: RoutePolicy) => SharedParts,
): Binding {
  switch (route.kind) {
    case "rpc":
      return new BoundRpc(route, shared(route.policy), context);
    case "local":
      return bindLocal(route, http, context);
    case "pass-through":
      return bindPassThrough(route, http, context);
  }
}

/** Common to all routes of one policy. */
interface SharedParts {
  /** Of a route that no policy of `auth.policies` matches. */
  readonly guard: Guard | undefined;
  readonly forms: FormLimits | undefined;
  readonly canonical: Codecs;
}

function sharedParts(
  http: GatewayConfig["http"],
  { compiled, guards }: BindContext,
): (policy: RoutePolicy) => SharedParts {
  const known = new Map<RoutePolicy, SharedParts>();
  return policy => {
    let parts = known.get(policy);
    if (parts === undefined) {
      parts = {
        guard: guardOf(policy.auth, policy.rateLimits, undefined, guards),
        forms: http.uploads && { ...http.uploads, text: policy.bodyLimit },
        canonical: canonicalCodecs(compiled, policy.json.depth),
      };
      known.set(policy, parts);
    }
    return parts;
  };
}

class BoundRpc implements RpcBinding {
  readonly kind = "rpc";
  readonly method: string;
  readonly template: Template;
  readonly dialect: Dialect;
  readonly guard: Guard | undefined;
  readonly bodyLimit: number;
  readonly channel: Channel;
  readonly forms: FormLimits | undefined;
  readonly details: DetailRenderer | undefined;
  readonly validate: Validate | undefined;
  readonly ownHeader: (name: string) => boolean;
  readonly canonical: Codecs;
  readonly #allMetrics: Metrics;
  #metrics: RouteMetrics | undefined;

  constructor(
    readonly route: Route,
    { guard, forms, canonical }: SharedParts,
    { compiled, details, runtime, guards, ...context }: BindContext,
  ) {
    const { policy, rpc } = route;
    const authorizer = compiled.authorizers.get(route);
    const validate = policy.validate ? compiled.validators.byType.get(rpc.input) : undefined;
    this.method = route.method;
    this.template = route.template;
    this.dialect = policy.dialect;
    this.guard =
      authorizer === undefined ? guard : guardOf(policy.auth, policy.rateLimits, authorizer, guards);
    this.bodyLimit = policy.bodyLimit;
    this.channel = context.channel(route.upstream);
    this.forms = forms;
    this.details = details.get(route.upstream);
    this.validate = validate && runtime.validation.counted(validate, rpc.service.fullName, rpc.name);
    this.ownHeader = guards.authenticators.isIdentityMetadata;
    this.canonical = canonical;
    this.#allMetrics = runtime.metrics;
  }

  get service(): string {
    return this.route.rpc.service.fullName;
  }

  /** Made when the first request is over, as most routes of a large API are never called. */
  get metrics(): RouteMetrics {
    this.#metrics ??= this.#allMetrics.route(this.template.text, this.method, this.service);
    return this.#metrics;
  }
}

function bindLocal(
  route: Extract<BuiltInRoute, { kind: "local" }>,
  http: GatewayConfig["http"],
  { compiled, guards, runtime }: BindContext,
): LocalBinding {
  const { method, template, handler } = route;
  const { service } = handler;
  return {
    kind: "local",
    method,
    template,
    service,
    dialect: handler.dialect,
    guard: handler.guard ?? guardOfBuiltIn(route, limitNames(handler.rateLimit), compiled, guards),
    bodyLimit: handler.bodyLimit ?? http.limits.body,
    metrics: runtime.metrics.route(template.text, method, service),
    route,
    handler,
  };
}

function bindPassThrough(
  route: Extract<BuiltInRoute, { kind: "pass-through" }>,
  http: GatewayConfig["http"],
  { compiled, backends, guards, runtime }: BindContext,
): PassThroughBinding {
  const { method, template, passThrough } = route;
  return {
    kind: "pass-through",
    method,
    template,
    service: passThrough.upstream,
    dialect: statusDialect,
    guard: guardOfBuiltIn(route, limitNames(passThrough.rateLimit), compiled, guards),
    bodyLimit: http.limits.body,
    metrics: runtime.metrics.route(template.text, method, passThrough.upstream),
    route,
    upstream: passThrough.upstream,
    websocket: passThrough.websocket,
    check: passThrough.check,
    ownHeader: name => guards.authenticators.isIdentityMetadata(name),
    // There are some where there are such routes.
    forwarder: (backends.forwarders as Forwarders).of(passThrough.prefix),
  };
}

function guardOfBuiltIn(
  route: BuiltInRoute,
  limits: readonly string[],
  { authorizers, loaded }: Compiled,
  guards: Guards,
): Guard | undefined {
  return guardOf(authOf(route, loaded.config.auth.default), limits, authorizers.get(route), guards);
}

/** Undefined where every caller may call without limits. */
function guardOf(
  auth: AuthNames,
  limits: readonly string[],
  authorizer: Authorizer | undefined,
  guards: Guards,
): Guard | undefined {
  const authenticator = guards.authenticators.authenticatorOf(auth);
  const limiters = guards.limits.limitersOf(limits);
  if (authenticator === undefined && authorizer === undefined && limiters.length === 0) return undefined;
  return new Guard({ authenticator, limiters, authorizer });
}

/** The headers of every response of a listener, and those of responses to CORS preflights. */
function responseHeaders(
  http: GatewayConfig["http"],
): Pick<BoundRoutes, "responseHeaders" | "preflightHeaders"> {
  const cors = createCors(http.cors);
  const security = securityHeaders(http.security_headers);
  const plain = security(false);
  const encrypted = security(true);
  return {
    responseHeaders: (origin, overTls, rpc = false, own = undefined) => {
      const always = overTls ? encrypted : plain;
      if (own !== undefined) return [...always, ...own(origin)];
      return http.cors === undefined ? always : [...always, ...cors.headers(origin, rpc)];
    },
    preflightHeaders: cors.preflight,
  };
}

/** Prints error details of types that the model has. */
function detailPrinter(compiled: Compiled, depth: number): BoundRoutes["renderDetail"] {
  const codecs = canonicalCodecs(compiled, depth);
  return (typeUrl, value) => codecs.renderAny(typeUrl, value);
}

/** Canonical ProtoJSON; unknown fields are passed over. The same for the same depth. */
function canonicalCodecs({ model }: Compiled, depth: number): Codecs {
  return createCodecs(model, {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "json",
    unknownFields: "ignore",
    depth,
  });
}
