import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { maxPathSegments } from "../../src/routing/path-scan.js";
import { RouterBuilder } from "../../src/routing/router.js";
import { parseTemplate } from "../../src/routing/template-parser.js";

/** Each of these would run for years if the time grew exponentially with the segments. */
describe("matching is bounded", () => {
  test("matching takes bounded steps where every position of many templates has a literal and a wildcard that end in a dead end", () => {
    const builder = new RouterBuilder<number>();
    for (let position = 0; position < 60; position += 1) {
      const segments = Array.from({ length: 60 }, (_, index) => (index === position ? "*" : "a"));
      builder.add("GET", parseTemplate(`/${segments.join("/")}/end`), position);
      builder.add(
        "GET",
        parseTemplate(`/${"*/a/".repeat(position % 40)}**/${"a/*/".repeat(20)}end`),
        position,
      );
    }
    const router = builder.build();
    assert.equal(router.match("GET", "/a".repeat(61)).kind, "none");
    assert.equal(router.match("GET", "/a".repeat(maxPathSegments)).kind, "none");
    assert.equal(router.match("GET", `${"/a".repeat(60)}/end`).kind, "found");
  });

  test("matching takes bounded steps where every mix of literals and wildcards of one length exists", () => {
    const builder = new RouterBuilder<number>();
    for (let mask = 0; mask < 1 << 12; mask += 1) {
      const segments = Array.from({ length: 12 }, (_, bit) => ((mask >> bit) & 1 ? "*" : "a"));
      builder.add("GET", parseTemplate(`/${segments.join("/")}/end`), mask);
    }
    const router = builder.build();
    assert.equal(router.match("GET", `${"/a".repeat(12)}/other`).kind, "none");
    assert.equal(router.match("GET", `${"/b".repeat(12)}/end`).kind, "found");
  });

  test("matching takes bounded steps where ** and its tail repeat the same literal", () => {
    const builder = new RouterBuilder<number>();
    builder.add("GET", parseTemplate(`/**${"/a".repeat(60)}/b`), 1);
    builder.add("GET", parseTemplate(`${"/a".repeat(60)}/**${"/a".repeat(60)}/b`), 2);
    const router = builder.build();
    assert.equal(router.match("GET", "/a".repeat(maxPathSegments)).kind, "none");
    assert.equal(router.match("GET", `${"/a".repeat(maxPathSegments - 1)}/b`).kind, "found");
  });

  test("matching takes bounded steps where a path consists of colons, escapes or slashes", () => {
    const builder = new RouterBuilder<number>();
    builder.add("GET", parseTemplate("/{a=**}:v"), 1);
    const router = builder.build();
    assert.equal(router.match("GET", `/${":".repeat(60_000)}`).kind, "none");
    assert.equal(router.match("GET", `/${"%3A".repeat(20_000)}:v`).kind, "found");
    assert.equal(router.match("GET", "/".repeat(60_000)).kind, "malformed");
  });
});
