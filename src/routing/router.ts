import { atOnce, inTurns, type Pace, type Steps } from "../net/pace.js";
import { type Candidate, explainRoutes } from "./explanation.js";
import { PathScan } from "./path-scan.js";
import { equivalenceKey, type Template } from "./template.js";
import { findRoute, insertRoute, type Leaf, type TrieEntry, TrieNode } from "./trie.js";

export type Match<T> =
  | {
      readonly kind: "found";
      readonly value: T;
      /** Decoded, in the order of the template's variables. */
      readonly variables: readonly string[];
    }
  /** The path is bound, but to other methods: these, sorted. */
  | { readonly kind: "method"; readonly allow: readonly string[] }
  | { readonly kind: "none" }
  | { readonly kind: "malformed"; readonly message: string; readonly offset: number };

/** The result of a look-up: a route, the gateway itself for OPTIONS, or nothing. `allow` is sorted and complete. */
export type RouteLookup<T> =
  | Exclude<Match<T>, { kind: "method" }>
  | { readonly kind: "method" | "options"; readonly allow: readonly string[] };

/** The method that matches every method without a route of its own on an equivalent template. */
export const anyMethod = "*";

/** Collects routes for a `Router`. */
export class RouterBuilder<T> {
  readonly #routes = new Map<string, Map<string, TrieEntry<T>>>();

  /**
   * Adds a route. Where the method already has an equivalent template, nothing is added and the earlier value is
   * returned; else undefined.
   * @param method any token, compared as it is; `*` for all methods
   */
  add(method: string, template: Template, value: T): T | undefined {
    let routes = this.#routes.get(method);
    if (routes === undefined) {
      routes = new Map();
      this.#routes.set(method, routes);
    }
    const key = equivalenceKey(template);
    const earlier = routes.get(key);
    if (earlier !== undefined) return earlier.value;
    routes.set(key, { method, template, value });
    return undefined;
  }

  /** The value of a route with that method and an equivalent template; undefined where there is none. */
  find(method: string, template: Template): T | undefined {
    return this.#routes.get(method)?.get(equivalenceKey(template))?.value;
  }

  /** The routes that were added so far. */
  get routes(): readonly TrieEntry<T>[] {
    return [...this.#routes.values()].flatMap(routes => [...routes.values()]);
  }

  /** The router over the routes that were added so far; later additions do not reach it. */
  build(): Router<T> {
    const steps = buildRouter(this.routes);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** As `build`, in turns of the event loop. Meanwhile nothing may be added. */
  buildInTurns(pace: Pace): Promise<Router<T>> {
    return buildInTurns(this.routes, pace);
  }
}

/** The router over routes of which no two have equivalent templates for one method; else the first of the two stays. */
export async function buildInTurns<T>(routes: readonly TrieEntry<T>[], pace: Pace): Promise<Router<T>> {
  const steps = buildRouter(routes);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (pace.spent(insertUnits)) await pace.nextTurn();
  }
}

/** Units for inserting one route into one trie. */
const insertUnits = 15;

/** Pauses after each insertion. */
function* buildRouter<T>(routes: readonly TrieEntry<T>[]): Generator<undefined, Router<T>> {
  const tables = new Map<string, MethodTable<T>>();
  const any = new MethodTable<T>();
  // The first of two equivalent routes stays: a method's own come before those for any method.
  for (const route of routes) {
    if (route.method === anyMethod) continue;
    let table = tables.get(route.method);
    if (table === undefined) {
      table = new MethodTable();
      tables.set(route.method, table);
    }
    table.insert(route);
    yield;
  }
  for (const route of routes) {
    if (route.method !== anyMethod) continue;
    for (const table of [...tables.values(), any]) {
      table.insert(route);
      yield;
    }
  }
  return new Router(routes, tables, any);
}

/**
 * Finds the route of a method and raw path by the rules of `google/api/http.proto`. Immutable. Paths are split
 * first and decoded afterwards.
 *
 * Every method has a trie of its own, so that a route of another method never hides one of this method.
 * A path is malformed, independent of the routes, where it does not start with `/`, holds a character that must be
 * percent-encoded, an escape that is broken or not UTF-8, a segment that is `.` or `..` after decoding (also
 * between encoded slashes), or more than 512 segments.
 */
export class Router<T> {
  readonly #routes: readonly TrieEntry<T>[];
  readonly #tables: ReadonlyMap<string, MethodTable<T>>;
  readonly #any: MethodTable<T>;
  readonly #scan = new PathScan();

  /** Use `RouterBuilder`. */
  constructor(
    routes: readonly TrieEntry<T>[],
    tables: ReadonlyMap<string, MethodTable<T>>,
    any: MethodTable<T>,
  ) {
    this.#routes = routes;
    this.#tables = tables;
    this.#any = any;
  }

  /**
   * @param method compared as it is; HEAD and OPTIONS are methods like others here
   * @param rawPath the path as it came, without the query
   */
  match(method: string, rawPath: string): Match<T> {
    const table = this.#tables.get(method) ?? this.#any;
    const fixed = table.fixed.get(rawPath);
    if (fixed !== undefined) return fixed;
    const path = this.#scan;
    const fault = path.scan(rawPath);
    if (fault !== undefined) return { kind: "malformed", message: fault.message, offset: fault.offset };
    const found = table.find(path);
    if (found !== undefined) return found;
    const allow = this.#allowed(path);
    return allow.length > 0 ? { kind: "method", allow } : { kind: "none" };
  }

  /** The methods that match a path, sorted, with `*` where all do; none for a malformed path. */
  allowed(rawPath: string): readonly string[] {
    return this.#scan.scan(rawPath) === undefined ? this.#allowed(this.#scan) : [];
  }

  /**
   * The results for the routes nearest to a request, for people: the winner first, then those with the most
   * segments in common. Walks all routes. Empty for a malformed path.
   */
  explain(method: string, rawPath: string): readonly Candidate<T>[] {
    return atOnce(this.#explain(method, rawPath));
  }

  /** As `explain`, in turns of the event loop. */
  explainInTurns(method: string, rawPath: string, pace: Pace): Promise<readonly Candidate<T>[]> {
    return inTurns(pace, this.#explain(method, rawPath));
  }

  *#explain(method: string, rawPath: string): Steps<readonly Candidate<T>[]> {
    const path = this.#scan;
    if (path.scan(rawPath) !== undefined) return [];
    const winner = (this.#tables.get(method) ?? this.#any).leaf(path)?.route;
    return yield* explainRoutes(this.#routes, method, path, winner);
  }

  #allowed(path: PathScan): string[] {
    const methods: string[] = [];
    for (const [method, table] of this.#tables) {
      if (table.leaf(path) !== undefined) methods.push(method);
    }
    if (this.#any.leaf(path) !== undefined) methods.push(anyMethod);
    return methods.sort();
  }
}

const noVariables: readonly string[] = [];

type Found<T> = Extract<Match<T>, { kind: "found" }>;

/** The routes that one method can take, its own before those of `*`. */
class MethodTable<T> {
  /** By raw path: the routes that only one raw path without escapes can reach and that no other route precedes. */
  readonly fixed = new Map<string, Found<T>>();
  readonly #root = new TrieNode<T>("head", 0, 0);
  readonly #verbs = new Set<string>();

  /** The first of two equivalent routes stays. */
  insert(route: TrieEntry<T>): void {
    insertRoute(this.#root, route);
    const { template, value } = route;
    if (template.verb !== undefined) this.#verbs.add(template.verb);
    const path = fixedPath(template);
    if (path !== undefined && !this.fixed.has(path)) {
      this.fixed.set(path, { kind: "found", value, variables: noVariables });
    }
  }

  find(path: PathScan): Found<T> | undefined {
    const leaf = this.leaf(path);
    if (leaf === undefined) return undefined;
    const hasVerb = leaf.route.template.verb !== undefined;
    if (hasVerb) path.takeVerb();
    const variables = leaf.read(path);
    if (hasVerb) path.restoreVerb();
    return { kind: "found", value: leaf.route.value, variables };
  }

  /** A verb is tried first; where no route takes it, the colon belongs to the value. */
  leaf(path: PathScan): Leaf<T> | undefined {
    return this.#withVerb(path) ?? findRoute(this.#root, path, undefined);
  }

  #withVerb(path: PathScan): Leaf<T> | undefined {
    if (!path.hasColon || this.#verbs.size === 0) return undefined;
    const verb = path.verb();
    if (!this.#verbs.has(verb)) return undefined;
    path.takeVerb();
    const leaf = findRoute(this.#root, path, verb);
    path.restoreVerb();
    return leaf;
  }
}

/** Characters of a raw path that are neither escapes nor separators. */
const plain = /^[!-$&-.0-9;-~]+$/;

/**
 * The raw path of a template without wildcards; undefined where it has one, or where its text could be read in
 * another way (`:` and `/` within a literal, escapes). All literals, it precedes every other route.
 */
function fixedPath(template: Template): string | undefined {
  const { segments, verb } = template;
  let path = "";
  for (const segment of segments) {
    if (segment.kind !== "literal" || !plain.test(segment.value)) return undefined;
    path += `/${segment.value}`;
  }
  if (template.variables.length > 0) return undefined;
  if (verb === undefined) return path === "" ? "/" : path;
  return plain.test(verb) ? `${path}:${verb}` : undefined;
}

/**
 * Finds the route of a request. HEAD follows GET, and the response to OPTIONS follows from the routes of the path (see
 * docs/reference/routes.md); a route of its own precedes either.
 * @param path raw, without the query
 */
export function lookUpRoute<T>(router: Router<T>, method: string, path: string): RouteLookup<T> {
  const match = router.match(method, path);
  if (match.kind !== "method") return match;
  if (method === "HEAD" && match.allow.includes("GET")) return lookUpRoute(router, "GET", path);
  return { kind: method === "OPTIONS" ? "options" : "method", allow: servedMethods(match.allow) };
}

function servedMethods(methods: readonly string[]): string[] {
  const all = new Set([...methods, "OPTIONS"]);
  if (all.has("GET")) all.add("HEAD");
  return [...all].sort();
}
