import type { Match, Router } from "../routing/router.js";

/** What answers a request: a route, the gateway itself for OPTIONS, or nothing. `allow` is sorted and complete. */
export type Lookup<T> =
  | Exclude<Match<T>, { kind: "method" }>
  | { readonly kind: "method" | "options"; readonly allow: readonly string[] };

/**
 * Finds what answers a request. HEAD follows GET, and OPTIONS is answered from the routes of the path (see
 * docs/reference/routes.md); a route of its own comes before either.
 * @param path raw, without the query
 */
export function lookUp<T>(router: Router<T>, method: string, path: string): Lookup<T> {
  const match = router.match(method, path);
  if (match.kind !== "method") return match;
  if (method === "HEAD" && match.allow.includes("GET")) return lookUp(router, "GET", path);
  return { kind: method === "OPTIONS" ? "options" : "method", allow: answeredMethods(match.allow) };
}

function answeredMethods(methods: readonly string[]): string[] {
  const all = new Set([...methods, "OPTIONS"]);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}
