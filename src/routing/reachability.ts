import type { Pace } from "../net/pace.js";
import { encodeText } from "./percent.js";
import { anyMethod, type Router } from "./router.js";
import type { Segment, Template } from "./template.js";
import type { TrieEntry } from "./trie.js";

/**
 * Whether others can take every path of a route: only where it has a `**`. At each wildcard of any other, a text that no
 * template names has to meet a wildcard of what would precede it, and where neither has a `**`, the two are equivalent then.
 */
export function mayBeShadowed({ template }: Pick<TrieEntry<unknown>, "template">): boolean {
  return template.segments.some(({ kind }) => kind === "multi");
}

/** A route that loses every path to others. */
export interface Shadowed<T> {
  readonly route: TrieEntry<T>;
  /** The routes that take its paths, at most three. */
  readonly by: readonly T[];
}

const maxShown = 3;
/** Units for trying one path. */
const matchUnits = 15;

/**
 * The routes that no path without empty segments reaches, because others precede them.
 *
 * Exact, though only few paths are tried. Of all paths of one length that a template matches, the one with a text
 * that no template names at each wildcard is matched by the fewest other templates: whatever matches it matches all
 * of them. Which of two matching templates precedes the other does not depend on the path. And once its `**` takes
 * more segments than any template has, a longer one changes nothing.
 */
export async function shadowedRoutes<T>(
  routes: readonly TrieEntry<T>[],
  router: Router<T>,
  pace: Pace,
): Promise<Shadowed<T>[]> {
  const fresh = freshText(routes);
  const longest = Math.max(0, ...routes.map(({ template }) => template.segments.length)) + 1;
  const shadowed: Shadowed<T>[] = [];
  for (const route of routes.filter(mayBeShadowed)) {
    const by = matchedRoutes(route, router, fresh, longest, pace);
    if (by.length > 0) shadowed.push({ route, by });
    if (pace.spent(0)) await pace.nextTurn();
  }
  return shadowed;
}

/** The routes that take the paths of a route; none where one path reaches it. */
function matchedRoutes<T>(
  route: TrieEntry<T>,
  router: Router<T>,
  fresh: string,
  longest: number,
  pace: Pace,
): readonly T[] {
  const { method, template, value } = route;
  const matched = new Set<T>();
  const widest = template.segments.some(({ kind }) => kind === "multi") ? longest : 0;
  for (let width = widest; width >= 0; width -= 1) {
    const path = pathOf(template, fresh, width);
    pace.spent(matchUnits);
    // A route for any method has to win among its like only: some method has no routes of its own.
    const match = router.match(method === anyMethod ? "" : method, path);
    if (match.kind !== "found") continue;
    if (match.value === value) return [];
    matched.add(match.value);
  }
  return [...matched].slice(0, maxShown);
}

/** A path of the template whose `**` takes `width` segments. */
function pathOf({ segments, verb }: Template, fresh: string, width: number): string {
  const texts = segments.flatMap(segment => textsOf(segment, fresh, width));
  return `/${texts.join("/")}${verb === undefined ? "" : `:${encodeText(verb)}`}`;
}

function textsOf(segment: Segment, fresh: string, width: number): string[] {
  switch (segment.kind) {
    case "literal":
      return [encodeText(segment.value)];
    case "single":
      return [fresh];
    case "multi":
      return new Array<string>(width).fill(fresh);
  }
}

/** A segment that no template names. */
function freshText(routes: readonly TrieEntry<unknown>[]): string {
  const named = new Set(
    routes.flatMap(({ template }) =>
      template.segments.flatMap(segment => (segment.kind === "literal" ? [segment.value] : [])),
    ),
  );
  let text = "~";
  while (named.has(text)) text += "~";
  return text;
}
