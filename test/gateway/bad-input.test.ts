import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { type EchoSystem, startEcho } from "./echo.js";
import { send } from "./harness.js";

interface Mistake {
  readonly what: string;
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly reason: string;
  /** What the message must say, word by word. */
  readonly says: string | RegExp;
  /** The field of the typed violation. */
  readonly field?: string;
}

const create = { method: "POST", path: "/v1/items" };
const deep = `${'{"child":'.repeat(101)}{}${"}".repeat(101)}`;

const mistakes: readonly Mistake[] = [
  // JSON
  {
    what: "text that is not JSON",
    ...create,
    body: "{",
    status: 400,
    reason: "MALFORMED_JSON",
    says: /line 1, column 2/,
  },
  {
    what: "text after the JSON value",
    ...create,
    body: "{} x",
    status: 400,
    reason: "MALFORMED_JSON",
    says: /column 4/,
  },
  {
    what: "single quotes",
    ...create,
    body: "{'id':1}",
    status: 400,
    reason: "MALFORMED_JSON",
    says: /column 2/,
  },
  {
    what: "invalid UTF-8",
    ...create,
    body: Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d),
    status: 400,
    reason: "MALFORMED_JSON",
    says: /UTF-8/,
  },
  {
    what: "a key twice",
    ...create,
    body: '{"id":"a","id":"b"}',
    status: 400,
    reason: "DUPLICATE_KEY",
    says: /id/,
  },
  {
    what: "a field under both of its names",
    ...create,
    body: '{"long_name":"a","longName":"b"}',
    status: 400,
    reason: "DUPLICATE_KEY",
    says: /longName/,
  },
  { what: "nesting beyond the limit", ...create, body: deep, status: 400, reason: "TOO_DEEP", says: /100/ },
  {
    what: "a list where an object is expected",
    ...create,
    body: "[]",
    status: 400,
    reason: "INVALID_VALUE",
    says: /object/,
  },
  // values
  {
    what: "a word for a number",
    ...create,
    body: '{"count":"many"}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /count/,
    field: "count",
  },
  {
    what: "an int32 out of range",
    ...create,
    body: '{"count":2147483648}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /count/,
    field: "count",
  },
  {
    what: "an int64 out of range",
    ...create,
    body: '{"big":"9223372036854775808"}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /big/,
    field: "big",
  },
  {
    what: "a fraction for an integer",
    ...create,
    body: '{"count":1.5}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /count/,
    field: "count",
  },
  {
    what: "a number for a string",
    ...create,
    body: '{"id":7}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /id/,
    field: "id",
  },
  {
    what: "text that is not base64",
    ...create,
    body: '{"data":"a*b"}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /base64/,
    field: "data",
  },
  {
    what: "a timestamp without zone",
    ...create,
    body: '{"at":"2024-01-01T00:00:00"}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /2006-01-02T15:04:05Z/,
    field: "at",
  },
  {
    what: "an unknown enum value, with the nearest one",
    ...create,
    body: '{"kind":"SMAL"}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /did you mean "SMALL"/,
    field: "kind",
  },
  {
    what: "two members of a oneof",
    ...create,
    body: '{"left":"a","right":"b"}',
    status: 400,
    reason: "ONEOF_CONFLICT",
    says: /left|right/,
  },
  {
    what: "a wrong value deep inside, with its path",
    ...create,
    body: '{"parts":[{},{"author":{"login":5}}]}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /parts\[1\]\.author\.login/,
    field: "parts[1].author.login",
  },
  {
    what: "a wrong value in a map",
    ...create,
    body: '{"labels":{"a b":1}}',
    status: 400,
    reason: "INVALID_VALUE",
    says: /labels\["a b"\]/,
    field: 'labels["a b"]',
  },
  {
    what: "an unknown field, with the nearest one",
    ...create,
    body: '{"author":{"logni":"x"}}',
    status: 400,
    reason: "UNKNOWN_FIELD",
    says: /did you mean "login"/,
    field: "author.logni",
  },
  {
    what: "a key named __proto__",
    ...create,
    body: '{"__proto__":{"id":"x"}}',
    status: 400,
    reason: "UNKNOWN_FIELD",
    says: /__proto__/,
  },
  // query
  {
    what: "an unknown parameter, with the nearest one",
    path: "/v1/items/a?cuont=1",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /did you mean "count"/,
    field: "cuont",
  },
  {
    what: "an unknown nested parameter",
    path: "/v1/items/a?author.logni=x",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /did you mean "author.login"/,
  },
  {
    what: "a parameter that names a message",
    path: "/v1/items/a?author=x",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /message/,
  },
  {
    what: "a parameter that names a repeated message",
    path: "/v1/items/a?parts.id=x",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /repeated message/,
  },
  {
    what: "a map parameter without key",
    path: "/v1/items/a?labels=x",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /labels\[key\]=value/,
  },
  {
    what: "a parameter of a constructor's name",
    path: "/v1/items/a?constructor=x",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /constructor/,
  },
  {
    what: "a wrong value in the query",
    path: "/v1/items/a?count=x",
    status: 400,
    reason: "INVALID_VALUE",
    says: /count/,
    field: "count",
  },
  {
    what: "an empty number in the query",
    path: "/v1/items/a?count=",
    status: 400,
    reason: "INVALID_VALUE",
    says: /count/,
    field: "count",
  },
  {
    what: "a single field twice in the query",
    path: "/v1/items/a?count=1&count=2",
    status: 400,
    reason: "REPEATED_PARAMETER",
    says: /count/,
    field: "count",
  },
  {
    what: "a map key twice in the query",
    path: "/v1/items/a?labels[x]=1&labels[x]=2",
    status: 400,
    reason: "REPEATED_PARAMETER",
    says: /labels/,
  },
  {
    what: "invalid percent-encoding in the query",
    path: "/v1/items/a?note=%zz",
    status: 400,
    reason: "MALFORMED_QUERY",
    says: /%zz/,
  },
  {
    what: "bytes that are not UTF-8 in the query",
    path: "/v1/items/a?note=%ff",
    status: 400,
    reason: "MALFORMED_QUERY",
    says: /UTF-8/,
  },
  {
    what: "a query under body: *",
    ...create,
    path: "/v1/items?id=x",
    body: "{}",
    status: 400,
    reason: "UNKNOWN_PARAMETER",
    says: /body/,
  },
  // path
  {
    what: "invalid percent-encoding in the path",
    path: "/v1/items/%zz",
    status: 400,
    reason: "MALFORMED_PATH",
    says: /%zz|percent/,
  },
  {
    what: "bytes that are not UTF-8 in the path",
    path: "/v1/items/%ff",
    status: 400,
    reason: "MALFORMED_PATH",
    says: /UTF-8/,
  },
  // collisions
  {
    what: "a query that differs from the path",
    path: "/v1/items/a?id=b",
    status: 400,
    reason: "FIELD_COLLISION",
    says: /id: the path binds/,
    field: "id",
  },
  {
    what: "a body that differs from the path",
    method: "PUT",
    path: "/v1/items/a",
    body: '{"item":{"id":"b"}}',
    status: 400,
    reason: "FIELD_COLLISION",
    says: /item\.id/,
    field: "item.id",
  },
  {
    what: "a body field that differs from the path",
    method: "PATCH",
    path: "/v1/items/a",
    body: '{"id":"b"}',
    status: 400,
    reason: "FIELD_COLLISION",
    says: /item\.id/,
    field: "item.id",
  },
  {
    what: "a query inside the body's field",
    method: "PATCH",
    path: "/v1/items/a?item.count=1",
    body: "{}",
    status: 400,
    reason: "FIELD_COLLISION",
    says: /body/,
  },
  {
    what: "a field that the path binds under both of its names in the body",
    method: "POST",
    path: "/v1/names/a",
    body: '{"longName":"a","long_name":"b"}',
    status: 400,
    reason: "DUPLICATE_KEY",
    says: /longName/,
  },
  {
    what: "a field that the path binds under both of its names, one of them null",
    method: "POST",
    path: "/v1/names/a",
    body: '{"longName":null,"long_name":"b"}',
    status: 400,
    reason: "DUPLICATE_KEY",
    says: /longName/,
  },
  // the request as a whole
  {
    what: "a body where none is taken",
    method: "POST",
    path: "/v1/items/a:archive",
    body: '{"count":1}',
    status: 400,
    reason: "UNEXPECTED_BODY",
    says: /query/,
  },
  {
    what: "a form",
    ...create,
    body: "id=a",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    status: 415,
    reason: "UNSUPPORTED_MEDIA_TYPE",
    says: /application\/json/,
  },
  {
    what: "another charset",
    ...create,
    body: "{}",
    headers: { "content-type": "application/json; charset=latin1" },
    status: 415,
    reason: "UNSUPPORTED_MEDIA_TYPE",
    says: /utf-8/,
  },
  {
    what: "a compressed body",
    ...create,
    body: "{}",
    headers: { "content-encoding": "gzip" },
    status: 415,
    reason: "UNSUPPORTED_MEDIA_TYPE",
    says: /gzip/,
  },
  {
    what: "a body beyond the limit",
    ...create,
    body: `{"id":"${"x".repeat(4096)}"}`,
    status: 413,
    reason: "BODY_TOO_LARGE",
    says: /4096 bytes/,
  },
  {
    what: "a path beyond the limit",
    path: `/v1/items/${"x".repeat(9000)}`,
    status: 414,
    reason: "URI_TOO_LONG",
    says: /8192/,
  },
  {
    what: "a malformed timeout",
    path: "/v1/items/a",
    headers: { "grpc-timeout": "soon" },
    status: 400,
    reason: "INVALID_TIMEOUT",
    says: /grpc-timeout/,
  },
  {
    what: "a timeout of nothing",
    path: "/v1/items/a",
    headers: { "x-request-timeout": "0" },
    status: 400,
    reason: "INVALID_TIMEOUT",
    says: /x-request-timeout/,
  },
  { what: "an unknown path", path: "/v2/items", status: 404, reason: "ROUTE_NOT_FOUND", says: /\/v2\/items/ },
  {
    what: "an empty last segment",
    path: "/v1/items/",
    status: 404,
    reason: "ROUTE_NOT_FOUND",
    says: /\/v1\/items\//,
  },
  {
    what: "a method without annotation",
    method: "POST",
    path: "/test.v1.Echo/Hidden",
    status: 404,
    reason: "ROUTE_NOT_FOUND",
    says: /Hidden/,
  },
  {
    what: "a stream in a form that the client does not accept",
    path: "/v1/watch",
    headers: { accept: "text/html" },
    status: 406,
    reason: "NOT_ACCEPTABLE",
    says: /application\/x-ndjson/,
  },
];

describe("bad input", () => {
  let system: EchoSystem;
  before(async () => {
    system = await startEcho("", "http: { limits: { body: 4KiB, header: 4KiB, request_timeout: 5s } }");
  });
  after(() => system.close());

  for (const mistake of mistakes) {
    it(`${mistake.what} is ${mistake.status} ${mistake.reason} and calls nothing`, async () => {
      const before = system.backend.calls.length;
      const init: RequestInit = { method: mistake.method ?? "GET", headers: mistake.headers ?? {} };
      if (mistake.body !== undefined) {
        init.body = mistake.body;
        init.headers = { "content-type": "application/json", ...mistake.headers };
      }
      const answer = await send(system.gateway.url + mistake.path, init);
      assert.equal(answer.status, mistake.status, answer.text);
      assert.equal(answer.json.reason, mistake.reason);
      if (typeof mistake.says === "string") assert.equal(answer.json.message, mistake.says);
      else assert.match(answer.json.message, mistake.says);
      if (mistake.field !== undefined) {
        const [detail] = answer.json.details;
        assert.equal(detail["@type"], "type.googleapis.com/google.rpc.BadRequest");
        assert.equal(detail.fieldViolations[0].field, mistake.field);
      }
      assert.equal(system.backend.calls.length, before);
    });
  }

  it("headers beyond the limit are 431", async () => {
    const answer = await send(`${system.gateway.url}/v1/items/a`, {
      headers: { "x-long": "x".repeat(6000) },
    });
    assert.equal(answer.status, 431);
    assert.equal(answer.json.reason, "HEADERS_TOO_LARGE");
    // Above what its parser takes uWebSockets.js refuses by itself, without a word of why.
    const larger = await send(`${system.gateway.url}/v1/items/a`, {
      headers: { "x-long": "x".repeat(14_000) },
    });
    assert.equal(larger.status, 431);
    if (engineUnderTest() === "fastify") assert.equal(larger.json.reason, "HEADERS_TOO_LARGE");
  });

  it("bytes that are not HTTP are refused and only that connection is closed", async () => {
    const other = send(`${system.gateway.url}/v1/items/a`);
    // uWebSockets.js answers by itself what it cannot parse.
    const refused =
      engineUnderTest() === "uws" ? /^HTTP\/1\.1 505 / : /^HTTP\/1\.1 400 [\s\S]*MALFORMED_REQUEST/;
    assert.match(await exchangeRaw(system.gateway.httpPort, "what is this\r\n\r\n"), refused);
    assert.equal((await other).status, 200);
  });

  it("escaped dot segments are 400: clients that resolve them send something else", async () => {
    for (const path of ["/v1/items/%2e%2e", "/v1/items/a%2F..%2Fb", "/v1/items/.."]) {
      const reply = await exchangeRaw(
        system.gateway.httpPort,
        `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
      );
      assert.match(reply, /^HTTP\/1\.1 400 [\s\S]*MALFORMED_PATH/, path);
    }
  });

  it("a chunked body is refused as soon as it passes the limit", async () => {
    const head =
      "POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    const reply = await exchangeRaw(system.gateway.httpPort, `${head}2000\r\n${"x".repeat(0x2000)}\r\n`);
    assert.match(reply, /^HTTP\/1\.1 413 [\s\S]*BODY_TOO_LARGE/);
    assert.match(reply, /connection: close/i);
  });

  it("content-length beside transfer-encoding is refused as request smuggling", async () => {
    const head =
      "POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n";
    assert.match(await exchangeRaw(system.gateway.httpPort, `${head}0\r\n\r\n`), /^HTTP\/1\.1 400 /);
  });

  it("a request whose body stops half way is refused, and other requests go on", async () => {
    const head =
      "POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
    const socket = connect(system.gateway.httpPort, "127.0.0.1");
    socket.end(`${head}{"id"`);
    await system.gateway.logged(line => line.reason === "CLIENT_CLOSED");
    socket.destroy();
    assert.equal((await send(`${system.gateway.url}/v1/items/a`)).status, 200);
  });
});

/** Sends bytes on a socket of its own and reads until the server closes it. */
function exchangeRaw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let reply = "";
    socket.setEncoding("latin1");
    socket.on("data", chunk => {
      reply += chunk;
    });
    socket.on("close", () => resolve(reply));
    socket.on("error", reject);
    socket.write(text);
  });
}
