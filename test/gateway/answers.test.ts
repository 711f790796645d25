import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { type EchoSystem, startEcho } from "./echo.js";
import { type Answer, send } from "./harness.js";

/** RFC 9112 §3.2.2 asks servers to take the absolute form; only proxies are sent it. */
const originFormOnly = engineUnderTest() === "uws" && "uWebSockets.js takes the origin form only";

describe("HTTP responses to REST requests", () => {
  let system: EchoSystem;
  let url: string;
  before(async () => {
    system = await startEcho("empty_response: 204");
    url = system.gateway.url;
  });
  after(() => system.close());

  const json = (
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    send(url + path, {
      method,
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });

  describe("routing", () => {
    it("HEAD follows GET: same status and headers, no body", async () => {
      const got = await send(`${url}/v1/items/a`);
      const head = await send(`${url}/v1/items/a`, { method: "HEAD" });
      assert.equal(head.status, 200);
      assert.equal(head.text, "");
      assert.equal(head.headers.get("content-length"), got.headers.get("content-length"));
      assert.equal(head.headers.get("content-type"), "application/json");
    });

    it("OPTIONS lists the methods of the path and calls nothing", async () => {
      const calls = system.backend.calls.length;
      const answer = await send(`${url}/v1/items/a`, { method: "OPTIONS" });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.get("allow"), "GET, HEAD, OPTIONS, PATCH, PUT");
      assert.equal(system.backend.calls.length, calls);
    });

    it("a wrong method is 405 with Allow", async () => {
      const answer = await send(`${url}/v1/items/a`, { method: "DELETE" });
      assert.equal(answer.status, 405);
      assert.equal(answer.json.reason, "METHOD_NOT_ALLOWED");
      assert.equal(answer.json.code, 12);
      assert.equal(answer.headers.get("allow"), "GET, HEAD, OPTIONS, PATCH, PUT");
    });

    it("a method that no route knows is 405 on a known path and 404 elsewhere", async () => {
      assert.equal((await send(`${url}/v1/items/a`, { method: "PROPFIND" })).status, 405);
      assert.equal((await send(`${url}/v9`, { method: "PROPFIND" })).status, 404);
    });

    it("a verb is not a value where a template declares it, and a value elsewhere", async () => {
      const archived = await send(`${url}/v1/items/a:archive`, { method: "POST" });
      assert.equal(archived.json.id, "a");
      const got = await send(`${url}/v1/items/a:other`);
      assert.equal(got.json.id, "a:other");
    });

    it("single-segment variables decode fully, an escaped slash included", async () => {
      assert.equal((await send(`${url}/v1/items/a%2Fb%20c%C3%A9+d`)).json.id, "a/b cé+d");
    });

    it("the absolute form of a request target is the same resource", { skip: originFormOnly }, async () => {
      const { request } = await import("node:http");
      const status = await new Promise(resolve => {
        request({ port: system.gateway.httpPort, path: `${url}/v1/items/a?count=1` }, response => {
          response.resume();
          resolve(response.statusCode);
        }).end();
      });
      assert.equal(status, 200);
    });
  });

  describe("query", () => {
    it("the query sets nested, repeated, map, enum, optional and well-known fields by either name", async () => {
      const answer = await send(
        `${url}/v1/items/a?author.login=jdoe&tags=x&tags=y&labels[k%201]=v&kind=LARGE&at=2024-01-02T03:04:05Z` +
          `&note=&big=9007199254740993&flag=true&long_name=n&data=AQI&ratio=1e3`,
      );
      assert.deepEqual(answer.json, {
        id: "a",
        big: "9007199254740993",
        data: "AQI=",
        at: "2024-01-02T03:04:05Z",
        tags: ["x", "y"],
        labels: { "k 1": "v" },
        kind: "LARGE",
        ratio: 1000,
        flag: true,
        author: { login: "jdoe" },
        note: "",
        longName: "n",
      });
    });

    it("the query takes + as a space, a flag without value as empty, an enum by number and a field again when equal to the path", async () => {
      const answer = await send(`${url}/v1/items/a?left=x+y%2B&note&kind=1&id=a`);
      assert.deepEqual(answer.json, { id: "a", kind: "SMALL", left: "x y+", note: "" });
    });
  });

  describe("body", () => {
    it("a body keeps 64-bit integers exact whether sent as string or as number", async () => {
      const text = '{"big":9223372036854775807,"ratio":-0.5,"data":"-_8"}';
      const answer = await json("POST", "/v1/items", text);
      assert.equal(answer.text, '{"big":"9223372036854775807","ratio":-0.5,"data":"+/8="}');
    });

    it("the path is merged into a body that names the same object", async () => {
      const answer = await json("PUT", "/v1/items/a", { item: { id: "a", count: 2 }, dryRun: true });
      assert.deepEqual(answer.json, { item: { id: "a", count: 2 }, dryRun: true });
    });

    it("an empty body is an empty message", async () => {
      assert.deepEqual((await send(`${url}/v1/items`, { method: "POST" })).json, {});
    });

    it("an empty object is accepted where no body is taken", async () => {
      assert.equal((await json("POST", "/v1/items/a:archive", {})).status, 200);
    });

    it("a missing content type and +json types count as JSON", async () => {
      const bytes = new TextEncoder().encode('{"count":1}');
      assert.deepEqual((await send(`${url}/v1/items`, { method: "POST", body: bytes })).json, { count: 1 });
      const vendor = { "content-type": "application/vnd.api+json; charset=UTF-8" };
      assert.deepEqual((await json("POST", "/v1/items", { count: 1 }, vendor)).json, { count: 1 });
    });

    it("response_body sends one field alone, an array here, also when it is empty", async () => {
      assert.equal((await json("POST", "/v1/lists", { items: [{ id: "a" }, {}] })).text, '[{"id":"a"},{}]');
      assert.equal((await json("POST", "/v1/lists", {})).text, "[]");
    });

    it("an Empty response is 204 by policy", async () => {
      const answer = await send(`${url}/v1/items`, { method: "DELETE" });
      assert.equal(answer.status, 204);
      assert.equal(answer.text, "");
      assert.equal(answer.headers.get("content-type"), null);
    });
  });

  describe("update mask", () => {
    it("an update mask is filled from the body of a PATCH, without what the path binds", async () => {
      const answer = await json("PATCH", "/v1/items/a", {
        id: "a",
        count: 1,
        author: { login: "x" },
        tags: [],
        long_name: null,
      });
      assert.deepEqual(answer.json.updateMask, "count,author.login,tags,longName");
    });

    it("an update mask is left as the caller sent it", async () => {
      const answer = await json("PATCH", "/v1/items/a?update_mask=count", { count: 1, flag: true });
      assert.deepEqual(answer.json.updateMask, "count");
    });
  });

  describe("raw bodies", () => {
    it("raw bodies pass both ways with their content type where request and response are HttpBody", async () => {
      const bytes = Uint8Array.of(0, 255, 10, 13);
      const answer = await fetch(`${url}/v1/raw`, {
        method: "POST",
        body: bytes,
        headers: { "content-type": "image/png" },
      });
      assert.equal(answer.headers.get("content-type"), "image/png");
      assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), bytes);
    });

    it("a raw body fills a field beside path and query", async () => {
      const answer = await send(`${url}/v1/attachments/logo?comment=new`, {
        method: "POST",
        body: "<svg/>",
        headers: { "content-type": "image/svg+xml" },
      });
      assert.deepEqual(answer.json, {
        name: "logo",
        file: { contentType: "image/svg+xml", data: "PHN2Zy8+" },
        comment: "new",
      });
    });
  });
});

describe("JSON policy", () => {
  it("names, enums, integers and defaults are printed as the service says, and a method may override it", async () => {
    const system = await startEcho(
      "json: { enums: number, int64: number, names: proto, emit_defaults: true, unknown_fields: ignore }, methods: { Get: { json: { emit_defaults: false, names: json } } }",
      "http: { query: { unknown: ignore } }",
    );
    try {
      const { url } = system.gateway;
      const created = await send(`${url}/v1/items`, {
        method: "POST",
        body: '{"kind":"LARGE","big":"5","longName":"n","surplus":[1]}',
        headers: { "content-type": "application/json" },
      });
      assert.equal(created.json.kind, 2);
      assert.equal(created.json.big, 5);
      assert.equal(created.json.long_name, "n");
      assert.deepEqual(created.json.tags, []);
      assert.equal(created.json.flag, false);
      assert.equal("note" in created.json, false);
      assert.deepEqual((await send(`${url}/v1/items/a?surplus=1&long_name=n`)).json, {
        id: "a",
        longName: "n",
      });
    } finally {
      await system.close();
    }
  });
});
