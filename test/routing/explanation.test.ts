import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { maxCandidates } from "../../src/routing/explanation.js";
import { type Router, RouterBuilder } from "../../src/routing/router.js";
import { parseTemplate } from "../../src/routing/template-parser.js";

function routerOf(...routes: string[]): Router<string> {
  const builder = new RouterBuilder<string>();
  for (const route of routes) {
    const [method = "", template = ""] = route.split(" ");
    builder.add(method, parseTemplate(template), route);
  }
  return builder.build();
}

function reasonFor(route: string, method: string, path: string): string | undefined {
  return routerOf(route).explain(method, path)[0]?.reason;
}

describe("an explanation", () => {
  test("an explanation says why a route does not match a path", () => {
    const rows: [route: string, method: string, path: string, reason: string][] = [
      ["GET /v1/messages/{id}", "GET", "/v1/messages/1", "found"],
      [
        "GET /v1/messages/{id}",
        "GET",
        "/v1/users/1",
        'literal "messages" expected at segment 2, found "users"',
      ],
      ["GET /v1/messages/{id}", "GET", "/v1/messages", '"*" expected at segment 3, the path ends before'],
      ["GET /v1/messages/{id}", "GET", "/v1/messages/", '"*" expected at segment 3, which is empty'],
      ["GET /v1/messages/{id}", "GET", "/v1/messages/1/2", 'the path continues after segment 3, with "2"'],
      [
        "GET /v1/messages/{id}",
        "GET",
        "/v1",
        'literal "messages" expected at segment 2, the path ends before',
      ],
      ["POST /v1/{id}", "GET", "/v1/1", "method is POST"],
      ["GET /v1/{id}:archive", "GET", "/v1/1", 'verb ":archive" expected, found none'],
      ["GET /v1/{id}:archive", "GET", "/v1/1:read", 'verb ":archive" expected, found ":read"'],
      ["GET /v1/{id}:archive", "GET", "/v1/1:archive", "found"],
      ["* /v1/{id}", "GET", "/v1/1", "found"],
      ["GET /a/**/x/*", "GET", "/a/b/y/1", 'literal "x" expected at segment 3, found "y"'],
      ["GET /a/**/x/*", "GET", "/a/x", "at least 3 segments expected, found 2"],
    ];
    for (const [route, method, path, reason] of rows) assert.equal(reasonFor(route, method, path), reason);
  });

  test("an explanation names the winner first, then the routes that lost to it, then the nearest", () => {
    const router = routerOf("GET /x", "GET /a/b/c", "POST /a/{id}", "GET /a/{id}", "GET /a/b", "GET /**");
    const candidates = router
      .explain("GET", "/a/b")
      .map(({ value, outcome, reason }) => ({ value, outcome, reason }));
    assert.deepEqual(candidates, [
      { value: "GET /a/b", outcome: "found", reason: "found" },
      { value: "GET /a/{id}", outcome: "lost", reason: "lost to a more specific template, GET /a/b" },
      { value: "GET /**", outcome: "lost", reason: "lost to a more specific template, GET /a/b" },
      { value: "POST /a/{id}", outcome: "method", reason: "method is POST" },
      {
        value: "GET /a/b/c",
        outcome: "path",
        reason: 'literal "c" expected at segment 3, the path ends before',
      },
      { value: "GET /x", outcome: "path", reason: 'literal "x" expected at segment 1, found "a"' },
    ]);
  });

  test("an explanation distinguishes a route of one method from a route for all methods", () => {
    const router = routerOf("* /a/{id}", "GET /a/{id}");
    assert.deepEqual(
      router.explain("GET", "/a/1").map(({ value, reason }) => [value, reason]),
      [
        ["GET /a/{id}", "found"],
        ["* /a/{id}", "lost to a more specific template, GET /a/{id}"],
      ],
    );
  });

  test("an explanation is limited to the nearest routes", () => {
    const routes = Array.from({ length: 50 }, (_, index) => `GET /r${index}`);
    const candidates = routerOf(...routes, "GET /a/b/c").explain("GET", "/a/b");
    assert.equal(candidates.length, maxCandidates);
    assert.equal(candidates[0]?.value, "GET /a/b/c");
  });

  test("the explanation of a malformed path is empty", () => {
    assert.deepEqual(routerOf("GET /**").explain("GET", "/%"), []);
  });
});
