import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Match, type Router, RouterBuilder } from "../../src/routing/router.js";
import { parseTemplate } from "../../src/routing/template-parser.js";

/** A router whose values are the routes' own texts, `GET /a`. */
function routerOf(...routes: string[]): Router<string> {
  const builder = new RouterBuilder<string>();
  for (const route of routes) {
    const [method = "", template = ""] = route.split(" ");
    assert.equal(builder.add(method, parseTemplate(template), route), undefined, route);
  }
  return builder.build();
}

/** The variables with which a template alone matches a path, or the kind of the failure. */
function bind(template: string, path: string): readonly string[] | string {
  const match = routerOf(`GET ${template}`).match("GET", path);
  return match.kind === "found" ? match.variables : match.kind;
}

function winner(match: Match<string>): string {
  return match.kind === "found" ? match.value : match.kind;
}

function grid(
  axis: string,
  rows: [template: string, path: string, expected: readonly string[] | string][],
): void {
  describe(axis, () => {
    for (const [template, path, expected] of rows) {
      test(`the template ${template} on ${path || '""'} gives ${JSON.stringify(expected)}`, () => {
        assert.deepEqual(bind(template, path), expected);
      });
    }
  });
}

grid("literals", [
  ["/", "/", []],
  ["/", "/a", "none"],
  ["/", "//", "none"],
  ["/a", "/a", []],
  ["/a", "/A", "none"],
  ["/a", "/", "none"],
  ["/a", "/a/b", "none"],
  ["/a/b", "/a/b", []],
  ["/a/b", "/a%2Fb", "none"],
  ["/a/b", "/%61/%62", []],
  ["/%61/b", "/a/b", []],
  ["/a%2Fb", "/a%2fb", []],
  ["/a%2Fb", "/a/b", "none"],
  ["/caf%C3%A9", "/caf%c3%a9", []],
  ["/a%20b", "/a%20b", []],
  ["/a+b", "/a%2Bb", []],
  ["/a%20b", "/a+b", "none"],
  ["/a%25b", "/a%25b", []],
  ["/%2541", "/A", "none"],
  ["/%2A", "/*", []],
  ["/%2A", "/x", "none"],
  ["/__proto__", "/__proto__", []],
]);

grid("single wildcards", [
  ["/{a}", "/x", ["x"]],
  ["/{a}", "/", "none"],
  ["/{a}", "/x/", "none"],
  ["/{a}", "/x/y", "none"],
  ["/{a}/{b}", "/x/y", ["x", "y"]],
  ["/{a}/{b}", "//y", "none"],
  ["/{a}/{b}", "/x/", "none"],
  ["/*/{b}", "/x/y", ["y"]],
  ["/v1/messages/{message_id}", "/v1/messages/123456", ["123456"]],
  ["/v1/users/{user_id}/messages/{message_id}", "/v1/users/me/messages/123456", ["me", "123456"]],
  ["/v1/{name=messages/*}", "/v1/messages/123456", ["messages/123456"]],
  ["/v1/{name=messages/*}", "/v1/messages/", "none"],
  ["/v1/{name=messages/*}", "/v1/users/1", "none"],
  ["/{a=fixed}", "/fixed", ["fixed"]],
  ["/{a=fixed}", "/other", "none"],
]);

grid("multi wildcards", [
  ["/{a=**}", "/", [""]],
  ["/{a=**}", "//", ["/"]],
  ["/{a=**}", "/x", ["x"]],
  ["/{a=**}", "/x/y/z", ["x/y/z"]],
  ["/{a=**}", "/x//y", ["x//y"]],
  ["/a/**", "/a", []],
  ["/a/**", "/a/", []],
  ["/a/**", "/a/b/c", []],
  ["/a/**", "/ab", "none"],
  ["/a/{x=**}", "/a", [""]],
  ["/a/{x=**}", "/a/", [""]],
  ["/a/{x=**}", "/a/b/", ["b/"]],
  ["/{x=a/**}", "/a", ["a"]],
  ["/{x=a/**}", "/a/b/c", ["a/b/c"]],
]);

grid("a fixed tail after **", [
  ["/v1/{name=**/botSessions/*}", "/v1/projects/p/botSessions/s", ["projects/p/botSessions/s"]],
  ["/v1/{name=**/botSessions/*}", "/v1/botSessions/s", ["botSessions/s"]],
  ["/v1/{name=**/botSessions/*}", "/v1/botSessions", "none"],
  ["/v1/{name=**/botSessions/*}", "/v1/a/botSessions/", "none"],
  [
    "/v1/{name=**/botSessions/*}",
    "/v1/botSessions/botSessions/botSessions",
    ["botSessions/botSessions/botSessions"],
  ],
  ["/v1/{name=projects/**}/x", "/v1/projects/x", ["projects"]],
  ["/v1/{name=projects/**}/x", "/v1/projects/a/x/x", ["projects/a/x"]],
  ["/v1/{name=projects/**}/x", "/v1/projects/a/y", "none"],
  ["/{a=**}/x/{b}/{c=y/*}", "/1/2/x/3/y/4", ["1/2", "3", "y/4"]],
  ["/{a=**}/x/{b}/{c=y/*}", "/x/3/y/4", ["", "3", "y/4"]],
  ["/{h}/{a=**}/{t}", "/1/2", ["1", "", "2"]],
  ["/{h}/{a=**}/{t}", "/1", "none"],
]);

grid("decoding", [
  ["/{a}", "/x%2Fy", ["x/y"]],
  ["/{a}", "/x%2fy", ["x/y"]],
  ["/{a}", "/%E2%82%AC%20%3F%23", ["€ ?#"]],
  ["/{a}", "/%F0%9F%98%80", ["😀"]],
  ["/{a}", "/%25", ["%"]],
  ["/{a}", "/%252F", ["%2F"]],
  ["/{a}", "/a+b", ["a+b"]],
  ["/{a}", "/%00", ["\0"]],
  ["/{a=**}", "/x%2Fy/z%2f%20", ["x%2Fy/z%2f "]],
  ["/{a=**}", "/%252F", ["%2F"]],
  ["/{a=**}", "/caf%C3%A9/x", ["café/x"]],
  ["/{a=m/*}", "/m/x%2Fy%3A", ["m/x%2Fy:"]],
  ["/{a=m/*}", "/%6D/x", ["m/x"]],
  ["/{a=p%2Fq}", "/p%2Fq", ["p/q"]],
]);

grid("verbs", [
  ["/{a}/{b}:verb", "/some:verb/const:verb", ["some:verb", "const"]],
  ["/{a}:verb", "/x:verb", ["x"]],
  ["/{a}:verb", "/x:other", "none"],
  ["/{a}:verb", "/x", "none"],
  ["/{a}:verb", "/:verb", "none"],
  ["/{a}:verb", "/x:verb/", "none"],
  ["/{a}:verb", "/x:verb:verb", ["x:verb"]],
  ["/{a}:verb", "/x%3Averb", "none"],
  ["/{a}:verb", "/x:ver%62", ["x"]],
  ["/{a}:v%C3%A9rb", "/x:v%C3%A9rb", ["x"]],
  ["/{a}:verb", "/x%3Ay:verb", ["x:y"]],
  ["/{a}:verb", "/x:", "none"],
  ["/{a}", "/x:verb", ["x:verb"]],
  ["/{a}", "/x:", ["x:"]],
  ["/v1/operations/{id}", "/v1/operations/a:b", ["a:b"]],
  ["/a:verb", "/a:verb", []],
  ["/a:verb", "/a%3Averb", "none"],
  ["/a%3Averb", "/a:verb", []],
  ["/a%3Averb", "/a%3Averb", []],
  ["/a/{x=**}:verb", "/a:verb", [""]],
  ["/a/{x=**}:verb", "/a/:verb", [""]],
  ["/a/{x=**}:verb", "/a/b/c%2F:verb", ["b/c%2F"]],
  ["/{x=**/s/*}:verb", "/a/s/b:verb", ["a/s/b"]],
]);

grid("malformed paths", [
  ["/{a=**}", "", "malformed"],
  ["/{a=**}", "a", "malformed"],
  ["/{a=**}", "*", "malformed"],
  ["/{a=**}", "/%", "malformed"],
  ["/{a=**}", "/%2", "malformed"],
  ["/{a=**}", "/%zz", "malformed"],
  ["/{a=**}", "/x/%FF", "malformed"],
  ["/{a=**}", "/%C3", "malformed"],
  ["/{a=**}", "/%C3:%A9", "malformed"],
  ["/{a=**}", "/%C3/%A9", "malformed"],
  ["/{a=**}", "/%ED%A0%80", "malformed"],
  ["/{a=**}", "/%C0%AE%C0%AE", "malformed"],
  ["/**", "/%FF", "malformed"],
  ["/a", "/b/%FF", "malformed"],
  ["/{a=**}", "/é", "malformed"],
  ["/{a=**}", "/a b", "malformed"],
  ["/{a=**}", "/a\n", "malformed"],
]);

grid("dot segments", [
  ["/{a=**}", "/.", "malformed"],
  ["/{a=**}", "/..", "malformed"],
  ["/{a=**}", "/a/../b", "malformed"],
  ["/{a=**}", "/a/./b", "malformed"],
  ["/{a}", "/%2e%2E", "malformed"],
  ["/{a}", "/%2e", "malformed"],
  ["/{a}", "/.%2e", "malformed"],
  ["/{a}", "/x%2F..%2Fy", "malformed"],
  ["/{a}:v", "/..:v", "malformed"],
  ["/{a}:v", "/%2e.:v", "malformed"],
  ["/{a}", "/...", ["..."]],
  ["/{a}", "/.a", [".a"]],
  ["/{a}", "/a..", ["a.."]],
  ["/{a}", "/x%2F..y", ["x/..y"]],
  ["/{a}", "/%252e%252e", ["%2e%2e"]],
]);

describe("a malformed path", () => {
  test("a malformed path is refused with the position of the fault", () => {
    const router = routerOf("GET /{a=**}");
    const faults: [string, number, RegExp][] = [
      ["a", 0, /start with "\/"/],
      ["/ab/c%2x", 5, /"%2x"/],
      ["/ab/c%20%FF/d", 5, /UTF-8/],
      ["/ab/é", 4, /U\+00E9 must be percent-encoded/],
      ["/ab/../d", 4, /"\.\."/],
      [`/${"a/".repeat(511)}a/b`, 1024, /more than 512 segments/],
    ];
    for (const [path, offset, message] of faults) {
      const match = router.match("GET", path);
      assert.equal(match.kind, "malformed", path);
      if (match.kind !== "malformed") continue;
      assert.equal(match.offset, offset, path);
      assert.match(match.message, message);
    }
    assert.equal(winner(router.match("GET", `/${"a/".repeat(511)}a`)), "GET /{a=**}");
  });

  test("a malformed path does not affect the next path", () => {
    const router = routerOf("GET /{a}/{b}:v", "GET /{a}");
    assert.equal(router.match("GET", "/%20/x:v%").kind, "malformed");
    assert.deepEqual(router.match("GET", "/y"), { kind: "found", value: "GET /{a}", variables: ["y"] });
    assert.deepEqual(router.match("GET", "/p%20q/r:v"), {
      kind: "found",
      value: "GET /{a}/{b}:v",
      variables: ["p q", "r"],
    });
    assert.deepEqual(router.match("GET", "/z"), { kind: "found", value: "GET /{a}", variables: ["z"] });
  });
});

describe("precedence", () => {
  const rows: [name: string, routes: string[], path: string, expected: string][] = [
    [
      "literal beats *",
      ["GET /rooms/{room_name}", "GET /rooms/participant"],
      "/rooms/participant",
      "GET /rooms/participant",
    ],
    ["an escaped literal beats * too", ["GET /a/*", "GET /a/b"], "/a/%62", "GET /a/b"],
    ["* beats **", ["GET /a/**", "GET /a/*"], "/a/b", "GET /a/*"],
    ["literal beats **", ["GET /a/**", "GET /a/b"], "/a/b", "GET /a/b"],
    ["an exact end beats an empty **", ["GET /a/**", "GET /a"], "/a", "GET /a"],
    ["a trailing slash goes to **", ["GET /a/**", "GET /a", "GET /a/*"], "/a/", "GET /a/**"],
    ["the leftmost difference decides", ["GET /*/b/c", "GET /a/*/*"], "/a/b/c", "GET /a/*/*"],
    ["a dead end is backed out of", ["GET /a/b/x", "GET /a/*/y", "GET /**"], "/a/b/y", "GET /a/*/y"],
    ["two dead ends are backed out of", ["GET /a/b/x", "GET /a/*/y", "GET /**"], "/a/b/z", "GET /**"],
    ["** with a tail beats ** alone", ["GET /a/**", "GET /a/**/x"], "/a/b/x", "GET /a/**/x"],
    ["a literal tail beats a longer one", ["GET /**/*/*", "GET /**/x"], "/p/q/x", "GET /**/x"],
    ["a literal tail beats a wildcard tail", ["GET /**/*", "GET /**/x"], "/p/x", "GET /**/x"],
    ["a longer head beats a tail", ["GET /a/**/x", "GET /a/*/**"], "/a/b/x", "GET /a/*/**"],
    ["a tail that fails gives way", ["GET /a/**/x/y", "GET /a/**"], "/a/z/y", "GET /a/**"],
    ["a verb is tried first", ["GET /a/b", "GET /a/{x}", "GET /**:v"], "/a/b:v", "GET /**:v"],
    ["an undeclared verb belongs to the value", ["GET /a/{x}:v", "GET /a/{x}"], "/a/b:w", "GET /a/{x}"],
    [
      "a verb that matches nowhere belongs to the value",
      ["GET /b/{x}:v", "GET /a/{x}"],
      "/a/b:v",
      "GET /a/{x}",
    ],
    ["an escaped colon is no verb", ["GET /a/b%3Av", "GET /a/{x}:v"], "/a/b%3Av", "GET /a/b%3Av"],
    ["a verb beats a literal with a colon", ["GET /a/b%3Av", "GET /a/{x}:v"], "/a/b:v", "GET /a/{x}:v"],
  ];
  for (const [name, routes, path, expected] of rows) {
    test(`precedence, ${name}: ${path}`, () => {
      assert.equal(winner(routerOf(...routes).match("GET", path)), expected);
      assert.equal(winner(routerOf(...routes.toReversed()).match("GET", path)), expected);
    });
  }
});

describe("methods", () => {
  const router = routerOf("GET /rooms/{id}", "POST /rooms/{id}", "PUT /rooms/participant", "PATCH /other:v");

  test("method and path decide together, so that a more specific route of another method hides nothing", () => {
    assert.equal(winner(router.match("GET", "/rooms/participant")), "GET /rooms/{id}");
    assert.equal(winner(router.match("PUT", "/rooms/participant")), "PUT /rooms/participant");
  });

  test("a method that no route of the path has gives the sorted methods that have one", () => {
    assert.deepEqual(router.match("DELETE", "/rooms/participant"), {
      kind: "method",
      allow: ["GET", "POST", "PUT"],
    });
    assert.deepEqual(router.match("PUT", "/rooms/x"), { kind: "method", allow: ["GET", "POST"] });
    assert.deepEqual(router.match("GET", "/other:v"), { kind: "method", allow: ["PATCH"] });
    assert.deepEqual(router.match("HEAD", "/rooms/x"), { kind: "method", allow: ["GET", "POST"] });
  });

  test("no methods are named for a path without routes", () => {
    assert.deepEqual(router.match("DELETE", "/nowhere"), { kind: "none" });
    assert.deepEqual(router.match("DELETE", "/other"), { kind: "none" });
    assert.deepEqual(router.allowed("/nowhere"), []);
    assert.deepEqual(router.allowed("/%"), []);
  });

  test("the methods of a path are listed", () => {
    assert.deepEqual(router.allowed("/rooms/participant"), ["GET", "POST", "PUT"]);
  });

  test("methods are compared with case", () => {
    assert.equal(router.match("get", "/rooms/x").kind, "method");
    assert.equal(winner(routerOf("LIST /a").match("LIST", "/a")), "LIST /a");
    assert.equal(routerOf("GET /a").match("__proto__", "/a").kind, "method");
  });

  test("the method * stands for every method without an equivalent route of its own", () => {
    const open = routerOf("* /a/b", "GET /a/b", "GET /a/**", "* /c/{x}");
    assert.equal(winner(open.match("GET", "/a/b")), "GET /a/b");
    assert.equal(winner(open.match("POST", "/a/b")), "* /a/b");
    assert.equal(winner(open.match("GET", "/a/c")), "GET /a/**");
    assert.equal(winner(open.match("GET", "/c/1")), "* /c/{x}");
    assert.deepEqual(open.match("POST", "/a/c"), { kind: "method", allow: ["GET"] });
    assert.deepEqual(open.allowed("/c/1"), ["*", "GET"]);
  });

  test("the method * wins by the more specific template where templates differ", () => {
    const open = routerOf("* /a/b", "GET /a/**");
    assert.equal(winner(open.match("GET", "/a/b")), "* /a/b");
  });
});

describe("building", () => {
  test("adding an equivalent template returns the earlier value and keeps it", () => {
    const builder = new RouterBuilder<number>();
    assert.equal(builder.add("GET", parseTemplate("/v1/{name=messages/*}"), 1), undefined);
    assert.equal(builder.add("GET", parseTemplate("/v1/messages/{id}"), 2), 1);
    assert.equal(builder.add("POST", parseTemplate("/v1/messages/{id}"), 3), undefined);
    assert.equal(builder.add("GET", parseTemplate("/v1/messages/{id}:v"), 4), undefined);
    assert.deepEqual(builder.build().match("GET", "/v1/messages/7"), {
      kind: "found",
      value: 1,
      variables: ["messages/7"],
    });
  });

  test("a route that is added does not reach a router that was built before", () => {
    const builder = new RouterBuilder<number>();
    builder.add("GET", parseTemplate("/a"), 1);
    const router = builder.build();
    builder.add("GET", parseTemplate("/b"), 2);
    assert.equal(router.match("GET", "/b").kind, "none");
    assert.equal(builder.build().match("GET", "/b").kind, "found");
  });

  test("a router without routes matches nothing", () => {
    assert.deepEqual(new RouterBuilder<number>().build().match("GET", "/"), { kind: "none" });
  });
});
