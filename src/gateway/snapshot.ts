import { RequestOrigins } from "../auth/request-origins.js";
import { Guard } from "../bindings/guard.js";
import type { OwnRoute } from "../bindings/own-route.js";
import type { Route } from "../bindings/route.js";
import { routerOf } from "../bindings/route-table.js";
import type { Binding, DetailRenderer, Snapshot } from "../bindings/snapshot.js";
import { createCodecs } from "../codec/codecs.js";
import { limitNames } from "../config/rate-limit-schema.js";
import { dialects } from "../dialects/dialects.js";
import { statusDialect } from "../dialects/status.js";
import type { Pace } from "../net/pace.js";
import { createCors } from "../pipeline/cors.js";
import { securityHeaders } from "../pipeline/security-headers.js";
import type { Channel } from "../upstream/channel.js";
import type { PassThrough } from "../upstream/pass-through.js";
import { authOf, type Compiled } from "./compile.js";
import type { Leases } from "./leases.js";
import type { Protection } from "./protection.js";
import type { Runtime } from "./runtime.js";

/** What the bindings of a snapshot hold on to. */
export interface SnapshotParts {
  readonly channels: ReadonlyMap<string, Channel>;
  readonly passThrough: PassThrough | undefined;
  readonly protection: Protection;
  readonly leases: Leases;
  /** By the names of the upstreams whose reflection is asked. */
  readonly details: ReadonlyMap<string, DetailRenderer>;
}

/** Binds compiled routes to channels, guards and metrics. */
export async function createSnapshot(
  compiled: Compiled,
  { channels, passThrough, protection, leases, details: asking }: SnapshotParts,
  { metrics, validation }: Runtime,
  pace: Pace,
): Promise<Snapshot> {
  const { model, routes, own, validators } = compiled;
  const { http, auth } = compiled.loaded.config;

  const guardOf = (route: Route | OwnRoute, limits: readonly string[]): Guard | undefined => {
    const authenticator = protection.authenticators.authenticatorOf(authOf(route, auth.default));
    const authorizer = compiled.authorizers.get(route);
    const limiters = protection.limits.limitersOf(limits);
    if (authenticator === undefined && authorizer === undefined && limiters.length === 0) return undefined;
    return new Guard({ authenticator, limiters, authorizer });
  };

  const bindOwn = (route: OwnRoute): Binding => {
    const { method, template } = route;
    const declared = route.kind === "endpoint" ? route.endpoint : route.rule;
    const service = route.kind === "endpoint" ? route.endpoint.service : route.rule.upstream;
    const bound = {
      method,
      template,
      service,
      guard:
        ("guard" in declared ? declared.guard : undefined) ?? guardOf(route, limitNames(declared.rateLimit)),
      metrics: metrics.route(template.text, method, service),
      route,
    };
    if (route.kind === "endpoint") {
      const { endpoint } = route;
      return {
        kind: "endpoint",
        ...bound,
        dialect: endpoint.dialect,
        bodyLimit: endpoint.bodyLimit ?? http.limits.body,
        endpoint,
      };
    }
    return {
      kind: "pass-through",
      ...bound,
      dialect: statusDialect,
      bodyLimit: http.limits.body,
      upstream: route.rule.upstream,
      websocket: route.rule.websocket,
      check: route.rule.check,
      ownHeader: name => protection.authenticators.tells(name),
      // There is one where there are such routes.
      application: passThrough as PassThrough,
    };
  };

  const bindRpc = (route: Route): Binding => {
    const { method, template, rpc, policy } = route;
    const service = rpc.service.fullName;
    const validate = policy.validate ? validators.byType.get(rpc.input) : undefined;
    return {
      kind: "rpc",
      method,
      template,
      service,
      dialect: policy.dialect,
      guard: guardOf(route, policy.rateLimits),
      bodyLimit: policy.bodyLimit,
      metrics: metrics.route(template.text, method, service),
      route,
      // Loading has checked that the upstream exists.
      channel: channels.get(route.upstream) as Channel,
      details: asking.get(route.upstream),
      validate: validate && validation.counted(validate, service, rpc.name),
    };
  };

  const bindings: Binding[] = [];
  const router = await routerOf<Route | OwnRoute, Binding>(
    [...routes, ...own],
    route => {
      const binding = route.kind === "rpc" ? bindRpc(route) : bindOwn(route);
      bindings.push(binding);
      return binding;
    },
    pace,
  );
  const details = createCodecs(model, {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "json",
    unknownFields: "ignore",
    depth: http.limits.depth,
  });
  const cors = createCors(http.cors);
  const security = securityHeaders(http.security_headers);
  const same = [security(false), security(true)] as const;
  return {
    router,
    bindings,
    replyHeaders: (origin, encrypted) => {
      const always = same[encrypted ? 1 : 0];
      return http.cors === undefined ? always : [...always, ...cors.answer(origin)];
    },
    preflightHeaders: (origin, requestMethod, allow) => cors.preflight(origin, requestMethod, allow),
    dialect: dialects[http.errors],
    origins: new RequestOrigins(http.cors?.origins ?? [], http.forwarded.trusted_hops),
    renderDetail: (typeUrl, value) => details.renderAny(typeUrl, value),
    acquire: () => leases.acquire(),
    release: () => leases.release(),
  };
}
