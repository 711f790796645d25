import type { Match, Router } from "../routing/router.js";

/** What serves a request: a route, the gateway itself for OPTIONS, or nothing. `allow` is sorted and complete. */
export type RouteLookup<T> =
  | Exclude<Match<T>, { kind: "method" }>
  | { readonly kind: "method" | "options"; readonly allow: readonly string[] };

/**
 * Finds what serves a request. HEAD follows GET, and OPTIONS is answered from the routes of the path (see
 * docs/reference/routes.md); a route of its own comes before either.
 * @param path raw, without the query
 */
export function lookUpRoute<T>(router: Router<T>, method: string, path: string): RouteLookup<T> {
  const match = router.match(method, path);
  if (match.kind !== "method") return match;
  if (method === "HEAD" && match.allow.includes("GET")) return lookUpRoute(router, "GET", path);
  return { kind: method === "OPTIONS" ? "options" : "method", allow: answeredMethods(match.allow) };
}

function answeredMethods(methods: readonly string[]): string[] {
  const all = new Set([...methods, "OPTIONS"]);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}
