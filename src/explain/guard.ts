import type { Authorizer } from "../auth/authorizer.js";
import type { AuthConfig } from "../auth/config.js";
import { cookieValue, queryValue } from "../auth/credential.js";
import type { SecurityScheme } from "../auth/provider.js";
import { providerType } from "../auth/providers/providers.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import type { RateLimitConfig, RateLimitsConfig } from "../limits/config.js";

/** The guards of routes. Texts of the configuration are shown to callers: secrets must be removed before. */
export interface GuardSource {
  readonly auth: AuthConfig;
  readonly limits: RateLimitsConfig;
  readonly authorizers: ReadonlyMap<Route | BuiltInRoute, Authorizer>;
}

/** The guard of one route, in the terms of its configuration. */
export interface GuardDescription {
  /** Of which one must accept; none where no authentication is required. */
  readonly providers: readonly {
    readonly name: string;
    readonly type: string;
    /** Where it looks for a credential. */
    readonly reads: readonly string[];
    /** Whether the request has something there. */
    readonly present: boolean;
  }[];
  /** Of which all must allow. */
  readonly policies: readonly { readonly name: string; readonly demands: readonly string[] }[];
  readonly limits: readonly { readonly name: string; readonly allows: string }[];
}

type HeaderOf = (name: string) => string | undefined;

export interface RouteGuard {
  readonly description: GuardDescription;
  /** Names of the query parameters that carry credentials. */
  readonly secretParameters: ReadonlySet<string>;
}

export function guardOf(
  { auth, limits, authorizers }: GuardSource,
  route: Route | BuiltInRoute,
  header: HeaderOf,
  query: string,
): RouteGuard {
  const names = authOf(route, auth.default);
  const known = names === "none" ? [] : names.filter(name => auth.providers[name] !== undefined);
  const providers = known.map(name => {
    const provider = auth.providers[name] as AuthConfig["providers"][string];
    const schemes = providerType(provider.type).describe(provider);
    return { name, type: provider.type, schemes };
  });
  const secretParameters = new Set(
    providers.flatMap(({ schemes }) =>
      schemes.flatMap(scheme => (scheme.type === "apiKey" && scheme.in === "query" ? [scheme.name] : [])),
    ),
  );
  const description: GuardDescription = {
    providers: providers.map(({ name, type, schemes }) => ({
      name,
      type,
      reads: schemes.map(credentialSource),
      present: schemes.some(scheme => isPresent(scheme, header, query)),
    })),
    policies: (authorizers.get(route)?.policies ?? []).map(name => ({
      name,
      demands: requirementsOf(auth, name),
    })),
    limits: limitsOf(route).map(name => ({ name, allows: allowanceOf(limits[name]) })),
  };
  return { description, secretParameters };
}

/** `header authorization: Bearer`, `query parameter key` */
function credentialSource(scheme: SecurityScheme): string {
  switch (scheme.type) {
    case "http":
      return `header authorization: ${scheme.scheme}`;
    case "apiKey":
      return `${scheme.in === "query" ? "query parameter" : scheme.in} ${scheme.name}`;
    case "mutualTLS":
      return "the client's certificate";
  }
}

function isPresent(scheme: SecurityScheme, header: HeaderOf, query: string): boolean {
  switch (scheme.type) {
    case "http":
      return header("authorization")?.toLowerCase().startsWith(`${scheme.scheme.toLowerCase()} `) === true;
    case "apiKey":
      if (scheme.in === "header") return (header(scheme.name) ?? "") !== "";
      return (
        (scheme.in === "cookie"
          ? cookieValue(header("cookie") ?? "", scheme.name)
          : queryValue(query, scheme.name)) !== undefined
      );
    case "mutualTLS":
      return false;
  }
}

/** @param name of a policy, or its index as text */
function requirementsOf({ policies }: AuthConfig, name: string): readonly string[] {
  const policy = policies.find((each, index) => (each.name ?? String(index)) === name);
  if (policy === undefined) return [];
  if (policy.deny === true) return ["refuses every caller"];
  const { scopes, any_scope: anyScope, claims, rule } = policy.require ?? {};
  return [
    ...(scopes === undefined ? [] : [`the scopes ${scopes.join(", ")}`]),
    ...(anyScope === undefined ? [] : [`one of the scopes ${anyScope.join(", ")}`]),
    // Their required values are not shown to callers without them.
    ...(claims === undefined ? [] : [`the claims ${Object.keys(claims).join(", ")}`]),
    ...(rule === undefined ? [] : [`that ${rule}`]),
  ];
}

/** `100 requests in 60 s for each ip, 200 at once` */
export function allowanceOf(limit: RateLimitConfig | undefined): string {
  if (limit === undefined) return "";
  const { requests, per, burst, concurrency, key, mode } = limit;
  const parts = [
    ...(requests === undefined ? [] : [`${requests} requests in ${per / 1000} s`]),
    ...(burst === undefined ? [] : [`${burst} at once`]),
    ...(concurrency === undefined ? [] : [`${concurrency} under way`]),
  ];
  const counted = key === "global" ? "for all together" : `for each ${key.replace(/^header:/, "header ")}`;
  return `${parts.join(", ")}, ${counted}${mode === "shadow" ? " (only counted)" : ""}`;
}
