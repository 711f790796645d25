import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { startTestGateway, type TestGateway } from "./harness.js";

/** What the backend was asked. */
interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
}

/** Answers what it was asked. */
const echo = createServer({ maxHeaderSize: 1 << 20 }, async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { method, url, headers, trailers } = request;
  response.end(JSON.stringify({ method, url, headers, trailers, body }));
});

/** Replies of a backend by path, byte for byte. */
const replies: Readonly<Record<string, string>> = {
  "/hops":
    "HTTP/1.1 200 OK\r\nconnection: x-hop\r\nconnection: X-Other, keep-alive\r\nkeep-alive: timeout=7\r\nx-hop: 1\r\n" +
    "x-other: 1\r\nproxy-connection: close\r\ntrailer: x-end\r\nx-kept: 1\r\ncontent-length: 2\r\n\r\nok",
  "/trailers": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 1\r\n\r\n",
  "/interim":
    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
  "/none": "HTTP/1.1 204 No Content\r\nx-kept: 1\r\n\r\n",
  "/same": 'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n',
  "/head": "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
  "/reset": "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
  "/until": "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end",
  "/busy": "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy",
  "/cookies":
    "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nset-cookie: a=1\r\ncontent-length: 0\r\n\r\n",
  "/moved": "HTTP/1.1 302 Found\r\nlocation: /login?x=/raw\r\ncontent-length: 0\r\n\r\n",
  "/beside": "HTTP/1.1 302 Found\r\nlocation: next?page=2\r\ncontent-length: 0\r\n\r\n",
  "/away": "HTTP/1.1 302 Found\r\nlocation: //other.example/x\r\ncontent-length: 0\r\n\r\n",
  "/twice": "HTTP/1.1 302 Found\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n",
  "/garbage": "hello\r\n\r\n",
  "/length": "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
  "/field": "HTTP/1.1 200 OK\r\nbad header: 1\r\n\r\n",
  "/nothing": "",
  "/half": "HTTP/1.1 200 OK\r\nx",
  "/status": "HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n",
};
/** The paths that were asked for. */
const asked: string[] = [];
const raw = createTcpServer((socket: Socket) => {
  socket.on("error", () => undefined);
  socket.once("data", chunk => {
    const path = /^\S+ (\S+)/.exec(String(chunk))?.[1] ?? "";
    asked.push(path);
    socket.end(replies[path] ?? "", "latin1");
  });
});

describe(`odd pass-through (${engineUnderTest()})`, () => {
  let gateway: TestGateway;

  before(async () => {
    for (const server of [echo, raw]) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    }
    const at = (server: { address(): unknown }): string =>
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    gateway = await startTestGateway(
      `
upstreams:
  echo: { protocol: http, targets: ["${at(echo)}"] }
  raw: { protocol: http, targets: ["${at(raw)}"], timeout: 1s }
http:
  limits: { header: 64KiB }
  proxy:
    - { prefix: /echo, upstream: echo, rewrite: / }
    - { prefix: /raw, upstream: raw, rewrite: / }
`,
      {},
    );
  });
  after(async () => {
    await gateway.close();
    echo.close();
    echo.closeAllConnections();
    raw.close();
  });

  /** The reply to one request on a connection of its own. */
  async function reply(head: string, body = ""): Promise<string> {
    const [line, ...lines] = head.split("\n");
    const text = [line, "host: a", "connection: close", ...lines].join("\r\n");
    return (await converse(gateway.httpPort, [`${text}\r\n\r\n${body}`], 1, true)).text;
  }

  /** What the backend was asked for that request. */
  async function told(head: string, body = ""): Promise<Asked> {
    const text = await reply(head, body);
    const json = /\{.*\}/s.exec(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, ""));
    assert.ok(json, text);
    return JSON.parse(json[0]);
  }

  const headOf = (text: string): string => text.split("\r\n\r\n", 1)[0] ?? "";

  test("headers of the client's connection are not forwarded", async () => {
    const { headers } = await told(
      "GET /echo/x HTTP/1.1\nconnection: x-hop, X-Other\nx-hop: 1\nx-other: 1\nkeep-alive: timeout=5\n" +
        "te: trailers\ntrailer: x-end\nproxy-connection: keep-alive\nhttp2-settings: x\nx-kept: 1",
    );
    for (const name of [
      "x-hop",
      "x-other",
      "keep-alive",
      "te",
      "trailer",
      "proxy-connection",
      "http2-settings",
    ])
      assert.equal(headers[name], undefined, name);
    assert.equal(headers["x-kept"], "1");
  });

  test("headers of the backend's connection are not forwarded, however many lines name them", async () => {
    const text = await reply("GET /raw/hops HTTP/1.1");
    assert.equal(statusesOf(text)[0], "200");
    assert.match(text, /ok$/);
    assert.match(headOf(text), /^x-kept: 1$/im);
    assert.doesNotMatch(headOf(text), /x-hop|x-other|keep-alive|proxy-connection|trailer/i);
  });

  test("trailers of either side are dropped", async () => {
    const chunked = "POST /echo/x HTTP/1.1\ntransfer-encoding: chunked\ntrailer: x-end";
    // The parser of uWebSockets.js knows no trailers.
    if (engineUnderTest() === "fastify") {
      const { body, trailers } = await told(chunked, "5\r\nhello\r\n0\r\nx-end: 1\r\n\r\n");
      assert.deepEqual({ body, trailers }, { body: "hello", trailers: {} });
    }
    assert.equal((await told(chunked, "5\r\nhello\r\n0\r\n\r\n")).body, "hello");
    const text = await reply("GET /raw/trailers HTTP/1.1");
    assert.match(text, /ok\r\n0\r\n\r\n$/);
    assert.doesNotMatch(text, /x-end/);
  });

  test("interim responses of a pass-through backend are not taken for its response", async () => {
    const text = await reply("GET /raw/interim HTTP/1.1");
    assert.equal(statusesOf(text).at(-1), "200");
    assert.match(text, /ok$/);
  });

  test("replies without a body have none, and say what they said", async () => {
    assert.match(await reply("GET /raw/none HTTP/1.1"), /^HTTP\/1\.1 204 [\s\S]*x-kept: 1[\s\S]*\r\n\r\n$/);
    assert.match(await reply("GET /raw/same HTTP/1.1"), /^HTTP\/1\.1 304 [\s\S]*etag: "1"[\s\S]*\r\n\r\n$/);
    assert.match(await reply("GET /raw/reset HTTP/1.1"), /^HTTP\/1\.1 205 [\s\S]*\r\n\r\n$/);
    assert.doesNotMatch(await reply("GET /raw/none HTTP/1.1"), /content-length/i);
    const chunked = await reply("POST /raw/none HTTP/1.1\ntransfer-encoding: chunked", "1\r\na\r\n0\r\n\r\n");
    assert.match(chunked, /^HTTP\/1\.1 204 [\s\S]*\r\n\r\n$/);
    const head = await reply("HEAD /raw/head HTTP/1.1");
    assert.match(head, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/);
    assert.equal(head.match(/content-length: 1234/gi)?.length, 1, head);
  });

  test("a body that ends with its connection comes whole", async () => {
    assert.match(
      (await reply("GET /raw/until HTTP/1.1")).replaceAll(/\r\n[0-9a-f]+\r\n/g, ""),
      /until the end/,
    );
  });

  test("every line of a repeated field is kept", async () => {
    const text = await reply("GET /raw/cookies HTTP/1.1");
    assert.deepEqual(text.match(/(?<=set-cookie: ).*(?=\r)/gi), ["a=1", "b=2", "a=1"]);
  });

  test("a body after expect: 100-continue is forwarded without the expectation", async () => {
    const parts = [
      "POST /echo/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
      "hello",
    ];
    // uWebSockets.js says nothing, so that clients go on after a while.
    const sent = engineUnderTest() === "uws" ? [parts.join("")] : parts;
    const { text } = await converse(gateway.httpPort, sent, 1, true);
    assert.equal(statusesOf(text).at(-1), "200");
    assert.match(text, /"body":"hello"/);
    assert.doesNotMatch(text, /"expect"/);
  });

  test("methods of other specifications go on, TRACE does not", async () => {
    assert.equal((await told("PROPFIND /echo/x HTTP/1.1\ncontent-length: 5", "hello")).body, "hello");
    assert.equal((await told("OPTIONS /echo/x HTTP/1.1")).method, "OPTIONS");
    assert.equal((await told("DELETE /echo/x HTTP/1.1\ncontent-length: 2", "ab")).body, "ab");
    const text = await reply("TRACE /echo/x HTTP/1.1");
    assert.equal(statusesOf(text)[0], "405");
    assert.match(headOf(text), /^allow: DELETE, GET, /im);
  });

  test("a GET with a body is refused instead of being passed on without it", async () => {
    for (const method of ["GET", "HEAD"]) {
      assert.equal(statusesOf(await reply(`${method} /echo/x HTTP/1.1\ncontent-length: 2`, "ab"))[0], "400");
      const chunked = await reply(
        `${method} /echo/x HTTP/1.1\ntransfer-encoding: chunked`,
        "2\r\nab\r\n0\r\n\r\n",
      );
      assert.equal(statusesOf(chunked)[0], "400");
    }
    assert.equal((await told("GET /echo/x HTTP/1.1\ncontent-length: 0")).body, "");
  });

  test("content types are the backend's affair", async () => {
    for (const type of ["foo", "", "text/plain; charset=", "application/json"]) {
      const { body, headers } = await told(
        `POST /echo/x HTTP/1.1\ncontent-type: ${type}\ncontent-length: 1`,
        "{",
      );
      assert.deepEqual({ body, type: headers["content-type"] }, { body: "{", type });
    }
    assert.equal((await told("POST /echo/x HTTP/1.1\ncontent-length: 1", "{")).body, "{");
  });

  test("large heads go on where they are allowed", async () => {
    // Above what Node.js takes by itself, below what the parser of uWebSockets.js was told for this process.
    const { headers } = await told(`GET /echo/x HTTP/1.1\nx-large: ${"x".repeat(18_000)}`);
    assert.equal(headers["x-large"]?.length, 18_000);
  });

  test("a busy backend gets one request, and its 503 is the client's response", async () => {
    asked.length = 0;
    const text = await reply("GET /raw/busy HTTP/1.1");
    assert.match(text, /^HTTP\/1\.1 503 [\s\S]*retry-after: 1[\s\S]*busy$/i);
    assert.deepEqual(asked, ["/busy"]);
  });

  test("a location on the backend becomes one below the prefix, others stay", async () => {
    const locations = async (path: string): Promise<string[] | null> =>
      (await reply(`GET /raw${path} HTTP/1.1`)).match(/(?<=location: ).*(?=\r)/gi);
    assert.deepEqual(await locations("/moved"), ["/raw/login?x=/raw"]);
    assert.deepEqual(await locations("/beside"), ["next?page=2"]);
    assert.deepEqual(await locations("/away"), ["//other.example/x"]);
    assert.ok((await locations("/twice"))?.length);
  });

  test("the access log of a pass-through has the bytes of both bodies, of whatever framing", async () => {
    for (const [path, head, body, into] of [
      ["/echo/sized", "content-length: 5", "hello", 5],
      ["/echo/chunked", "transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", 5],
      ["/raw/until", "content-length: 3", "abc", 3],
      ["/raw/none", "content-length: 0", "", 0],
    ] as const) {
      const requestId = `bytes-${path.replaceAll("/", "-")}`;
      const text = await reply(`POST ${path} HTTP/1.1\nx-request-id: ${requestId}\n${head}`, body);
      const sent = /\{.*\}|until the end/s.exec(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, ""))?.[0] ?? "";
      const line = await gateway.logged(entry => entry.request_id === requestId);
      assert.deepEqual([line.bytes_in, line.bytes_out], [into, sent.length], path);
    }
    await reply("HEAD /raw/head HTTP/1.1\nx-request-id: bytes-head");
    assert.equal((await gateway.logged(entry => entry.request_id === "bytes-head")).bytes_out, 0);
  });

  test("a reply that is none is 502, and recorded so", async () => {
    for (const path of ["/garbage", "/length", "/field", "/nothing", "/half", "/status"]) {
      const text = await reply(`GET /raw${path} HTTP/1.1`);
      assert.match(text, /^HTTP\/1\.1 502 [\s\S]*"UPSTREAM_PROTOCOL"/, path);
      const line = await gateway.logged(entry => entry.path === `/raw${path}`);
      assert.deepEqual([line.status, line.reason], [502, "UPSTREAM_PROTOCOL"], path);
    }
  });
});
