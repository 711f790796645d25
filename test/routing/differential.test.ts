import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Router, RouterBuilder } from "../../src/routing/router.js";
import type { Segment, Template } from "../../src/routing/template.js";
import { parseTemplate } from "../../src/routing/template-parser.js";

/** A reading of `google/api/http.proto` that is slow and simple: try every template, sort by specificity. */
class NaiveRouter {
  readonly #routes: { method: string; template: Template }[] = [];

  add(method: string, template: Template): void {
    this.#routes.push({ method, template });
  }

  match(method: string, path: string): { text: string; variables: string[] } | undefined {
    const found = this.#routes.flatMap(route => {
      if (route.method !== method && route.method !== "*") return [];
      const variables = bindNaively(route.template, path);
      return variables === undefined ? [] : [{ ...route, variables }];
    });
    found.sort(
      (a, b) =>
        compareSpecificity(a.template, b.template) || Number(a.method === "*") - Number(b.method === "*"),
    );
    const best = found[0];
    return best === undefined
      ? undefined
      : { text: `${best.method} ${best.template.text}`, variables: best.variables };
  }
}

function bindNaively(template: Template, path: string): string[] | undefined {
  let rest = path;
  if (template.verb !== undefined) {
    const colon = path.lastIndexOf(":");
    if (colon < path.lastIndexOf("/")) return undefined;
    if (decodeURIComponent(path.slice(colon + 1)) !== template.verb) return undefined;
    rest = path.slice(0, colon);
  }
  const parts = path === "/" ? [] : rest.slice(1).split("/");
  const widths = alignNaively(template.segments, parts);
  if (widths === undefined) return undefined;
  const offsets = [0];
  for (const width of widths) offsets.push((offsets.at(-1) ?? 0) + width);
  return template.variables.map(({ start, end, multi }) => {
    const raw = parts.slice(offsets[start], offsets[end]).join("/");
    return multi
      ? raw
          .split(/(%2f)/i)
          .map((text, index) => (index % 2 ? text : decodeURIComponent(text)))
          .join("")
      : decodeURIComponent(raw);
  });
}

/** How many parts each segment takes. */
function alignNaively(segments: readonly Segment[], parts: readonly string[]): number[] | undefined {
  const [segment, ...others] = segments;
  if (segment === undefined) return parts.length === 0 ? [] : undefined;
  const widths =
    segment.kind === "multi" ? Array.from({ length: parts.length + 1 }, (_, width) => width) : [1];
  for (const width of widths) {
    const part = parts[0];
    if (segment.kind !== "multi" && (part === undefined || part === "")) return undefined;
    if (segment.kind === "literal" && decodeURIComponent(part ?? "") !== segment.value) return undefined;
    const rest = alignNaively(others, parts.slice(width));
    if (rest !== undefined) return [width, ...rest];
  }
  return undefined;
}

const ranks = { literal: 1, single: 2, multi: 3 };

/** Verbs first; then left to right up to `**`, an end before `**`; then right to left back to it. */
function compareSpecificity(a: Template, b: Template): number {
  const verbs = Number(a.verb === undefined) - Number(b.verb === undefined);
  if (verbs !== 0) return verbs;
  const rank = (segment: Segment | undefined): number => (segment === undefined ? 0 : ranks[segment.kind]);
  const compare = (left: readonly Segment[], right: readonly Segment[]): number => {
    for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
      const difference = rank(left[index]) - rank(right[index]);
      if (difference !== 0) return difference;
      if (left[index]?.kind === "multi") return 0;
    }
    return 0;
  };
  return compare(a.segments, b.segments) || compare(a.segments.toReversed(), b.segments.toReversed());
}

const fixedSegment = fc.constantFrom("a", "b", "a%2Fb", "a%3Av", "*", "*");
const template = fc
  .tuple(
    fc.array(fixedSegment, { maxLength: 4 }),
    fc.option(fc.array(fixedSegment, { maxLength: 3 }), { nil: undefined }),
    fc.constantFrom("", "", ":v", ":w", ":%76"),
    fc.nat(3),
    fc.nat(4),
  )
  .map(([head, tail, verb, from, width]) => {
    const segments = tail === undefined ? head : [...head, "**", ...tail];
    if (segments.length === 0) return "/";
    const start = Math.min(from, segments.length - 1);
    const end = Math.min(start + width, segments.length);
    const covered = segments.slice(start, end).join("/");
    const parts = [
      ...segments.slice(0, start),
      ...(covered === "" ? [] : [`{x=${covered}}`]),
      ...segments.slice(end),
    ];
    return `/${parts.join("/")}${verb}`;
  });
const route = fc.tuple(fc.constantFrom("GET", "GET", "POST", "*"), template);
const path = fc
  .tuple(
    fc.array(fc.constantFrom("a", "b", "%61", "c", "", "a%2fb", "a%3Av", "a:v", "%C3%A9"), {
      minLength: 1,
      maxLength: 7,
    }),
    fc.constantFrom("", "", ":v", ":w", ":%76", ":"),
  )
  .map(([parts, verb]) => `/${parts.join("/")}${verb}`);

describe("the router", () => {
  test("the router agrees with a naive matcher on any routes and paths", () => {
    fc.assert(
      fc.property(
        fc.array(route, { minLength: 1, maxLength: 12 }),
        fc.array(path, { minLength: 4, maxLength: 12 }),
        (routes, paths) => {
          const builder = new RouterBuilder<string>();
          const naive = new NaiveRouter();
          for (const [method, text] of routes) {
            const parsed = parseTemplate(text);
            if (builder.add(method, parsed, `${method} ${text}`) === undefined) naive.add(method, parsed);
          }
          const router = builder.build();
          for (const raw of paths) {
            for (const method of ["GET", "POST", "PUT"]) assertAgreement(router, naive, method, raw);
          }
        },
      ),
      { numRuns: 1500 },
    );
  });
});

function assertAgreement(router: Router<string>, naive: NaiveRouter, method: string, raw: string): void {
  const match = router.match(method, raw);
  const expected = naive.match(method, raw);
  if (match.kind === "found") {
    assert.deepEqual({ text: match.value, variables: match.variables }, expected, `${method} ${raw}`);
    return;
  }
  assert.equal(expected, undefined, `${method} ${raw}`);
  const allow = ["GET", "POST"].filter(other => naive.match(other, raw) !== undefined);
  assert.deepEqual(
    match,
    allow.length > 0 ? { kind: "method", allow } : { kind: "none" },
    `${method} ${raw}`,
  );
}
