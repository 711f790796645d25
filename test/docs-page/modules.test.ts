import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

/** A module of the page that needs no browser. */
function load(name: string) {
  return import(new URL(`../../src/docs-page/assets/${name}.js`, import.meta.url).href);
}

const { splitterOf } = await load("streams");
const { curlOf, headersOf, parsePasted, pathOf, queryOf, variablesOf } = await load("request");
const { constraintsOf, exampleOf, operationIn, resolved, typeName } = await load("documents");
const { indexOf, search } = await load("search");

/** Pieces of a text, cut at some places. */
const cuts = fc.array(fc.nat(400), { maxLength: 8 });

function pieces(text: string, places: readonly number[]): string[] {
  const ends = [...places.map(place => place % (text.length + 1)).sort((a, b) => a - b), text.length];
  return ends.map((end, index) => text.slice(ends[index - 1] ?? 0, end));
}

function split(
  type: string,
  text: string,
  places: readonly number[],
): { data: string; event?: string; id?: string }[] {
  const splitter = splitterOf(type);
  return [...pieces(text, places).flatMap(piece => splitter.push(piece)), ...splitter.end()];
}

describe("the documents page and streams", () => {
  const messages = fc.array(fc.object({ maxDepth: 2, withBigInt: false }), { maxLength: 6 });

  it("the documents page finds the messages of an array, of lines and of events, however they are cut", () => {
    fc.assert(
      fc.property(messages, cuts, fc.constantFrom("", " ", "\n  "), (list, places, space) => {
        const texts = list.map(each => JSON.stringify(each));
        const array = `[${space}${texts.join(`,${space}`)}${space}]`;
        const found = [
          split("application/json", array, places),
          split("application/x-ndjson", texts.map(text => `${text}\n`).join(""), places),
          split(
            "text/event-stream; charset=utf-8",
            `:\n\n${texts.map(text => `data:${text}\r\n\r\n`).join(": wait\n\n")}`,
            places,
          ),
        ];
        for (const each of found)
          assert.deepEqual(
            each.map(({ data }) => data),
            texts,
          );
      }),
    );
  });

  it("the documents page takes JSON that is no array as one message, and reads id and event", () => {
    assert.deepEqual(split("application/json", '{"a":[1,2]}', [3]), [{ data: '{"a":[1,2]}' }]);
    const events = split("text/event-stream", "id: 7\nevent: error\ndata: a\ndata: b\n\n", [9]);
    assert.deepEqual(events, [{ id: "7", event: "error", data: "a\nb" }]);
  });
});

describe("the documents page and requests", () => {
  it("fills templates: slashes stay where a variable takes several segments, and an empty variable stays as it is", () => {
    const template = "/v1/{name=shelves/*/books/*}/{id}:read";
    assert.deepEqual(variablesOf(template), [
      { name: "name", pattern: "shelves/*/books/*" },
      { name: "id", pattern: "*" },
    ]);
    assert.equal(
      pathOf(template, { name: "shelves/1/books/a b", id: "x/y" }),
      "/v1/shelves/1/books/a%20b/x%2Fy:read",
    );
    assert.equal(pathOf("/v1/{id}", {}), "/v1/{id}");
    assert.equal(
      queryOf([
        ["a.b", "1 &"],
        ["m[k]", "é"],
      ]),
      "a.b=1%20%26&m[k]=%C3%A9",
    );
  });

  it("the documents page reads its own curl commands back, whatever is in them", () => {
    const text = fc.string({
      unit: fc.constantFrom("a", "'", '"', "\\", "$", "`", " ", "é", "!", "\n"),
      minLength: 1,
    });
    fc.assert(
      fc.property(text, fc.webPath(), (body, path) => {
        const target = path.startsWith("/") ? path : `/${path}`;
        const request = { method: "POST", target, headers: [["content-type", "application/json"]], body };
        assert.deepEqual(parsePasted(curlOf(request, "https://api.example.com")), request);
      }),
    );
  });

  it("the documents page reads requests as they go over the wire, and says what is missing", () => {
    const raw = "POST https://api.example.com/v1/a?b=c HTTP/1.1\r\nHost: x\r\nX-Key: 1\r\n\r\n{}";
    assert.deepEqual(parsePasted(raw), {
      method: "POST",
      target: "/v1/a?b=c",
      headers: [
        ["host", "x"],
        ["x-key", "1"],
      ],
      body: "{}",
    });
    assert.deepEqual(parsePasted("$ curl localhost:8080/v1/a -G -d b=c").target, "/v1/a?b=c");
    assert.throws(() => parsePasted("hello"), /expected a first line such as/);
    assert.throws(() => parsePasted("curl -X GET"), /no URL/);
    assert.throws(() => headersOf("a: b\nno header"), /expected "name: value", found "no header"/);
  });
});

describe("the documents page and OpenAPI documents", () => {
  const document = {
    paths: { "/v1/{a}/x": { get: { operationId: "one" } } },
    components: {
      schemas: {
        "shop.v1.Node": {
          type: "object",
          properties: {
            next: { anyOf: [{ $ref: "#/components/schemas/shop.v1.Node" }, { type: "null" }] },
            name: { type: "string", minLength: 1 },
          },
        },
        loop: { $ref: "#/components/schemas/loop" },
        Mood: { anyOf: [{ type: "string", enum: ["MOOD_UNSPECIFIED", "GOOD"] }, { type: "integer" }] },
      },
    },
  };
  const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` });

  it("the documents page names types, constraints and examples, of messages that hold themselves as well", () => {
    assert.equal(typeName(document, { type: "array", items: reference("shop.v1.Node") }), "list of Node");
    assert.deepEqual(exampleOf(document, reference("shop.v1.Node")), { name: "" });
    assert.equal(exampleOf(document, reference("Mood")), "GOOD");
    assert.deepEqual(constraintsOf(document, { type: "string", minLength: 1, maxLength: 9 }), [
      "not empty",
      "at most 9 characters",
    ]);
    assert.equal(operationIn(document, { method: "GET", path: "/v1/{b}/x" }).operationId, "one");
  });

  it("the documents page comes to an end with references that lead in a circle or nowhere", () => {
    assert.ok(typeof resolved(document, reference("loop")) === "object");
    assert.deepEqual(resolved(document, reference("missing")), {});
    assert.equal(typeof typeName(document, reference("loop")), "string");
  });

  it("puts names before paths, and paths before comments", () => {
    const operation = (name: string, template: string, comment: string) => ({
      name,
      method: "GET",
      template,
      summary: "",
      comment,
    });
    const services = [
      {
        name: "s.S",
        comment: "",
        operations: [
          operation("A", "/x", "finds books"),
          operation("B", "/books", ""),
          operation("ListBooks", "/y", ""),
        ],
      },
    ];
    const found = search(indexOf(services), "BOOKS");
    assert.deepEqual(
      found.map(({ name }: { name: string }) => name),
      ["ListBooks", "B", "A"],
    );
    assert.deepEqual(search(indexOf(services), "books nothing"), []);
  });
});
