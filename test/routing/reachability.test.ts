import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createPace } from "../../src/net/pace.js";
import { shadowedRoutes } from "../../src/routing/reachability.js";
import { RouterBuilder } from "../../src/routing/router.js";
import { parseTemplate } from "../../src/routing/template-parser.js";

async function shadowed(...routes: readonly string[]): Promise<Map<string, readonly string[]>> {
  const builder = builderOf(routes);
  const found = await shadowedRoutes(builder.routes, builder.build(), createPace());
  return new Map(found.map(({ route, by }) => [route.value, by]));
}

function builderOf(routes: readonly string[]): RouterBuilder<string> {
  const builder = new RouterBuilder<string>();
  for (const route of routes) {
    const [method = "", template = ""] = route.split(" ");
    builder.add(method, parseTemplate(template), route);
  }
  return builder;
}

test("a route whose every path is taken by more specific routes is shadowed by them", async () => {
  const [deep, child, one] = ["GET /d/{name=*/**}", "GET /d/{name=*/**}/{c}", "GET /d/{c}"] as const;
  assert.deepEqual(await shadowed(deep, child, one), new Map([[deep, [child, one]]]));
  assert.deepEqual(await shadowed(deep, child), new Map());
  assert.deepEqual(await shadowed(deep, one), new Map());
});

test("a route of another method shadows nothing, and one for any method only what is for any method", async () => {
  assert.deepEqual(await shadowed("GET /{a=*/**}", "POST /{a=*/**}/{b}", "POST /{b}"), new Map());
  assert.deepEqual(await shadowed("* /{a=*/**}", "GET /{a=*/**}/{b}", "GET /{b}"), new Map());
  assert.equal((await shadowed("GET /{a=*/**}", "* /{a=*/**}/{b}", "* /{b}")).size, 1);
  assert.equal((await shadowed("* /{a=*/**}", "* /{a=*/**}/{b}", "* /{b}")).size, 1);
});

test("a verb is a path of its own", async () => {
  assert.deepEqual(await shadowed("GET /{a=*/**}:v", "GET /{a=*/**}/{b}", "GET /{b}"), new Map());
  assert.equal((await shadowed("GET /{a=*/**}:v", "GET /{a=*/**}/{b}:v", "GET /{b}:v")).size, 1);
});

const segment = fc.constantFrom("a", "b", "*", "*");
const template = fc
  .tuple(
    fc.array(segment, { maxLength: 3 }),
    fc.boolean(),
    fc.array(segment, { maxLength: 2 }),
    fc.constantFrom("", "", ":v"),
  )
  .filter(([head, wild, tail]) => head.length + tail.length > 0 || wild)
  .map(([head, wild, tail, verb]) => `/${[...head, ...(wild ? ["**"] : []), ...tail].join("/")}${verb}`);
const route = fc.tuple(fc.constantFrom("GET", "GET", "GET", "*"), template).map(parts => parts.join(" "));
const path = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 7 }), fc.constantFrom("", ":v", ":w"))
  .map(([texts, verb]) => `/${texts.join("/")}${texts.length === 0 ? "" : verb}`);

test("no path reaches a shadowed route", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(route, { minLength: 1, maxLength: 12 }),
      fc.array(path, { minLength: 200, maxLength: 200 }),
      async (routes, paths) => {
        const builder = builderOf(routes);
        const router = builder.build();
        const found = new Set(
          (await shadowedRoutes(builder.routes, router, createPace())).map(each => each.route.value),
        );
        for (const each of paths) {
          for (const method of ["GET", "PUT"]) {
            const match = router.match(method, each);
            if (match.kind === "found") assert.ok(!found.has(match.value), `${method} ${each} ${routes}`);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});
