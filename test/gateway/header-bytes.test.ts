import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { echoProto } from "./echo.js";
import { type Backend, echo, startBackend, startTestGateway, type TestGateway } from "./harness.js";

/** Sends back the values of `x-any` that it was sent, byte for byte. */
const server = createServer((request, response) => {
  const { rawHeaders } = request;
  const values = rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() === "x-any");
  response.end(Buffer.from(`[${values.join("|")}]`, "latin1"));
});

const uws = engineUnderTest() === "uws";
const headerLimit = 4096;

/** Bytes inside a value; uWebSockets.js cuts off those at its ends. */
const utf8 = "caf\xc3\xa9-x";
const others = ["caf\xe9-x", "a\x80b", "a\xed\xa0\x80b", "a\xf0\x9fb", "a\xc0\xafb"];

describe(`the bytes of request headers (${engineUnderTest()})`, () => {
  let backend: Backend;
  let gateway: TestGateway;

  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    backend = await startBackend({ "/test.v1.Echo/Get": echo });
    const { port } = server.address() as AddressInfo;
    gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams:
  echo: { targets: ["127.0.0.1:${backend.port}"], timeout: 30s }
  http: { protocol: http, targets: ["http://127.0.0.1:${port}"] }
services: [{ service: test.v1.Echo, upstream: echo, metadata: { request: [x-any] } }]
http:
  limits: { header: ${headerLimit} }
  forwarded: { trusted_hops: 1 }
  proxy:
    - { prefix: /passed, upstream: http }
    - { prefix: /keys, upstream: http, auth: keys }
auth: { providers: { keys: { type: api_key, keys: ./keys.yaml } } }
`,
      { "protos/echo.proto": echoProto, "keys.yaml": `- { hash: "sha256:${"0".repeat(64)}", subject: a }\n` },
    );
  });
  after(async () => {
    await gateway.close();
    await backend.close();
    server.close();
    server.closeAllConnections();
  });

  async function ask(path: string, lines: readonly string[], host = "a"): Promise<string> {
    const head = [`GET ${path} HTTP/1.1`, `host: ${host}`, "connection: close", ...lines].join("\r\n");
    return (await converse(gateway.httpPort, [`${head}\r\n\r\n`], 1, true)).text;
  }

  test("bytes above ASCII inside a value that becomes metadata are 400, and nothing is called", async () => {
    for (const value of [utf8, ...others]) {
      const text = await ask("/v1/items/a", [`x-any: ${value}`]);
      assert.match(text, /^HTTP\/1\.1 400 [\s\S]*"INVALID_HEADER"/, JSON.stringify(value));
    }
    assert.deepEqual(backend.calls, []);
  });

  test("bytes above ASCII in an unused header are ignored", async () => {
    for (const value of [utf8, ...others]) {
      const text = await ask("/v1/items/a", [`x-other: ${value}`]);
      assert.match(text, /^HTTP\/1\.1 200 /, JSON.stringify(value));
    }
  });

  test("a header with bytes above ASCII counts as absent where the gateway reads it", async () => {
    for (const value of [utf8, ...others]) {
      const name = JSON.stringify(value);
      assert.match(await ask("/v1/items/a", [], value), /^HTTP\/1\.1 400 [\s\S]*"INVALID_HEADER"/, name);
      assert.match(await ask("/keys/x", [`x-api-key: ${value}`]), /^HTTP\/1\.1 401 /, name);
      const ignored = ["x-request-id", "x-forwarded-host", "x-forwarded-for", "traceparent", "cookie"];
      const before = backend.calls.length;
      const lines = ignored.map(header => `${header}: ${value}`);
      assert.match(await ask("/v1/items/a", lines), /^HTTP\/1\.1 200 /, name);
      assert.equal(backend.calls.length, before + 1);
      assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-forwarded-host"), ["a"]);
    }
  });

  test("UTF-8 inside a value reaches an HTTP backend as it came", async () => {
    for (const value of [utf8, "a\xf0\x9f\x98\x80b"]) {
      const text = await ask("/passed/x", [`x-any: ${value}`, `x-any: 2${value}`]);
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.ok(text.includes(value) && text.includes(`2${value}`), text);
    }
  });

  test("other bytes inside a value reach an HTTP backend as they came, or are 400", async () => {
    for (const value of others) {
      const text = await ask("/passed/x", [`x-any: ${value}`]);
      // uWebSockets.js does not tell which bytes they were.
      if (uws) assert.match(text, /^HTTP\/1\.1 400 [\s\S]*"INVALID_HEADER"[\s\S]*\\"x-any\\"/);
      else assert.ok(text.includes(`[${value}]`), text);
    }
    // What belongs to the connection is not passed on.
    assert.equal(statusesOf(await ask("/passed/x", ["connection: x-any", `x-any: ${others[0]}`]))[0], "200");
    if (uws) assert.match(await ask("/passed/x", ["x-any: a\xef\xbf\xbdb"]), /^HTTP\/1\.1 400 /);
  });

  for (const path of ["/v1/items/a", "/passed/x"]) {
    test(`headers of as many bytes as the limit pass on ${path}, of one more are 431`, async () => {
      /** Header lines whose names and values have so many bytes. */
      const heads = (size: number): readonly (readonly string[])[] => {
        const fixed = `hostaconnectionclose`.length;
        const rest = size - fixed;
        const many = Array.from({ length: 60 }, (_, index) => `n${index % 10}: ${"y".repeat(20)}`);
        const left = rest - 60 * 22;
        return [
          [`x: ${"y".repeat(rest - 1)}`],
          [`${"n".repeat(rest - 1)}: y`],
          [`${"n".repeat(rest)}:`],
          [...many, `x: ${"y".repeat(left - 1)}`],
          [`x:  \t${"y".repeat(rest - 1)} \t `],
          [`x: y${"\xc3\xa9".repeat(100)}${"y".repeat(rest - 202)}`],
        ];
      };
      for (const [index, lines] of heads(headerLimit).entries())
        assert.equal(statusesOf(await ask(path, lines))[0], "200", `head ${index}`);
      for (const [index, lines] of heads(headerLimit + 1).entries()) {
        const text = await ask(path, lines);
        assert.equal(statusesOf(text)[0], "431", `head ${index}`);
        assert.match(text, /"HEADERS_TOO_LARGE"/);
      }
    });
  }

  test("the limit of headers does not count the request target", async () => {
    const target = `/v1/items/${"a".repeat(8100)}`;
    const lines = Array.from({ length: 90 }, () => `x: ${"y".repeat(44)}`);
    assert.equal(statusesOf(await ask(target, lines))[0], "200");
  });
});
