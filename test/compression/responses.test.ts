import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { send } from "../gateway/harness.js";
import { exchange, textOf } from "./exchange.js";

const long = { id: "7", longName: "compress me ".repeat(400) };
const large = { id: "8", longName: Array.from({ length: 30_000 }, (_, i) => i * i).join(" ") };

const answers: Readonly<Record<string, RequestListener>> = {
  "/sized": (_request, response) => {
    const body = "a line of text\n".repeat(1000);
    response.writeHead(200, { "content-type": "text/plain", "content-length": body.length, etag: '"v1"' });
    response.end(body);
  },
  "/short": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 5 });
    response.end("short");
  },
  "/weak": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", etag: 'W/"v1"', vary: "accept-language" });
    response.end("a line of text\n".repeat(1000));
  },
  "/coded": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-encoding": "zstd", etag: '"v1"' });
    response.end("x".repeat(5000));
  },
  "/kept": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "cache-control": "public, no-transform" });
    response.end("x".repeat(5000));
  },
  "/digest": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "repr-digest": "sha-256=:AAAA:" });
    response.end("x".repeat(5000));
  },
  "/part": (_request, response) => {
    response.writeHead(206, { "content-type": "text/plain", "content-range": "bytes 0-4999/9000" });
    response.end("x".repeat(5000));
  },
  "/unmodified": (_request, response) => {
    response.writeHead(304, { etag: '"v1"' });
    response.end();
  },
  "/empty": (_request, response) => {
    response.writeHead(204);
    response.end();
  },
  "/image": (_request, response) => {
    response.writeHead(200, { "content-type": "image/png" });
    response.end("x".repeat(5000));
  },
  "/events": (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.end("data: x\n\n".repeat(1000));
  },
  "/grpc": (_request, response) => {
    response.writeHead(200, { "content-type": "application/grpc-web+proto" });
    response.end("x".repeat(5000));
  },
  "/secret/token": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    response.end("x".repeat(5000));
  },
  "/cut": (_request, response) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 100_000 });
    response.write("x".repeat(5000), () => response.destroy());
  },
};

/** A response that never ends and hardly shrinks, as fast as it is taken. */
class Endless {
  bytes = 0;
  readonly closed: Promise<void>;
  #close: () => void = () => undefined;

  constructor() {
    this.closed = new Promise(resolve => {
      this.#close = resolve;
    });
  }

  answer(response: Parameters<RequestListener>[1]): void {
    const write = (): void => {
      do this.bytes += 48_000;
      while (response.write(randomBytes(36_000).toString("base64")));
    };
    response.writeHead(200, { "content-type": "text/plain" });
    response.on("drain", write);
    response.on("close", () => this.#close());
    write();
  }
}

describe("http.compression of responses", () => {
  let legacy: Server;
  let system: EchoSystem;
  let off: EchoSystem;
  let url = "";
  const endless = new Endless();
  /** Writes to the response of /slow. */
  let slow: Parameters<RequestListener>[1] | undefined;

  before(async () => {
    legacy = createServer((request, response) => {
      const path = (request.url ?? "").replace(/\?.*/, "");
      if (path === "/slow") {
        response.writeHead(200, { "content-type": "application/x-ndjson" });
        response.write('{"n":1}\n');
        slow = response;
      } else if (path === "/endless") endless.answer(response);
      else answers[path]?.(request, response);
    });
    legacy.listen(0, "127.0.0.1");
    await once(legacy, "listening");
    const { port } = legacy.address() as AddressInfo;
    const http = (compression: string) => `
http:
  limits: { body: 4MiB }
  ${compression}
  proxy: [{ prefix: /legacy, upstream: legacy, rewrite: / }]
`;
    const start = (compression: string) =>
      startEcho(
        "",
        http(compression),
        {},
        `legacy: { protocol: http, targets: ["http://127.0.0.1:${port}"] }`,
      );
    system = await start("compression: { exclude: { routes: [/legacy/secret/**, /v1/names/**] } }");
    off = await start("");
    url = system.gateway.url;
  });
  after(async () => {
    await system.close();
    await off.close();
    legacy.close();
  });

  const create = (item: object, accept: string | undefined, base = url) =>
    exchange(`${base}/v1/items`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(accept !== undefined && { "accept-encoding": accept }),
      },
      body: JSON.stringify(item),
    });

  for (const [accept, coding] of [
    ["gzip", "gzip"],
    ["br", "br"],
    ["gzip, deflate, br", "br"],
    ["gzip;q=1.0, br;q=0.1", "gzip"],
    ["identity", undefined],
    ["deflate", undefined],
    [undefined, undefined],
  ] as const) {
    test(`a response of 4 KiB to Accept-Encoding ${accept} is sent ${coding ?? "as it is"}`, async () => {
      const reply = await create(long, accept);
      assert.equal(reply.status, 200);
      assert.equal(reply.headers["content-encoding"], coding);
      assert.equal(reply.headers.vary, "Accept-Encoding");
      assert.equal(reply.headers["content-length"], String(reply.body.length));
      assert.deepEqual(JSON.parse(textOf(reply)), long);
      if (coding !== undefined) assert.ok(reply.body.length < 500);
    });

    test(`a response of 300 KiB to Accept-Encoding ${accept} is sent ${coding ?? "as it is"}`, async () => {
      const reply = await create(large, accept);
      assert.equal(reply.headers["content-encoding"], coding);
      assert.equal(reply.headers["content-length"], String(reply.body.length));
      assert.deepEqual(JSON.parse(textOf(reply)), large);
    });
  }

  test("a response below min_size is sent as it is, unless the client refuses that", async () => {
    const plain = await create({ id: "1" }, "gzip");
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.headers.vary, undefined);
    const forced = await create({ id: "1" }, "gzip, identity;q=0");
    assert.equal(forced.headers["content-encoding"], "gzip");
    assert.deepEqual(JSON.parse(textOf(forced)), { id: "1" });
  });

  test("where nothing is acceptable the response is sent as it is", async () => {
    const reply = await create(long, "*;q=0");
    assert.equal(reply.headers["content-encoding"], undefined);
    assert.deepEqual(JSON.parse(textOf(reply)), long);
  });

  test("an error is compressed by the same rules", async () => {
    const body = JSON.stringify({ [`no_${"x".repeat(3000)}`]: 1 });
    const headers = { "content-type": "application/json", "accept-encoding": "gzip" };
    const reply = await exchange(`${url}/v1/items`, { method: "POST", headers, body });
    assert.equal(reply.status, 400);
    const plain = await exchange(`${off.gateway.url}/v1/items`, { method: "POST", headers, body });
    const compressed = plain.body.length >= 1024;
    assert.equal(reply.headers["content-encoding"], compressed ? "gzip" : undefined);
    assert.equal(textOf(reply), plain.body.toString());
  });

  test("a HEAD request gets the headers of the GET", async () => {
    const target = `${url}/v1/items/7?long_name=${"abc+".repeat(600)}`;
    const headers = { "accept-encoding": "gzip" };
    const get = await exchange(target, { headers });
    const head = await exchange(target, { method: "HEAD", headers });
    assert.equal(get.headers["content-encoding"], "gzip");
    for (const name of ["content-encoding", "content-length", "vary", "content-type"])
      assert.equal(head.headers[name], get.headers[name], name);
    assert.equal(head.body.length, 0);
    const streamed = await exchange(`${url}/legacy/sized`, { method: "HEAD", headers });
    assert.equal(streamed.headers["content-encoding"], "gzip");
    assert.equal(streamed.headers["content-length"], undefined);
    assert.equal(streamed.headers.etag, 'W/"v1"');
  });

  test("a pass-through response is compressed on its way, its entity tag becomes a weak one", async () => {
    const reply = await exchange(`${url}/legacy/sized`, { headers: { "accept-encoding": "br" } });
    assert.equal(reply.headers["content-encoding"], "br");
    assert.equal(reply.headers["content-length"], undefined);
    assert.equal(reply.headers.etag, 'W/"v1"');
    assert.equal(textOf(reply), "a line of text\n".repeat(1000));
    const plain = await exchange(`${url}/legacy/sized`);
    assert.equal(plain.headers["content-length"], "15000");
    assert.equal(plain.headers.etag, '"v1"');
    assert.equal(plain.headers.vary, "Accept-Encoding");
  });

  test("a weak entity tag stays, and Vary is added to that of the backend", async () => {
    const reply = await exchange(`${url}/legacy/weak`, { headers: { "accept-encoding": "gzip" } });
    assert.equal(reply.headers.etag, 'W/"v1"');
    assert.match(reply.headers.vary ?? "", /accept-language/i);
    assert.match(reply.headers.vary ?? "", /accept-encoding/i);
    assert.equal(textOf(reply), "a line of text\n".repeat(1000));
  });

  for (const [path, why] of [
    ["/legacy/short", "that is announced as short"],
    ["/legacy/coded", "that is compressed already"],
    ["/legacy/kept", "with no-transform"],
    ["/legacy/digest", "with a digest"],
    ["/legacy/part", "that is a part"],
    ["/legacy/empty", "without content"],
    ["/legacy/image", "of an excluded content type"],
    ["/legacy/events", "of server-sent events"],
    ["/legacy/grpc", "of gRPC-Web"],
    ["/legacy/secret/token", "of an excluded route"],
    ["/legacy/%73ecret/token", "of an excluded route in another spelling"],
  ] as const) {
    test(`a response ${why} is sent as it is`, async () => {
      const headers = { "accept-encoding": "gzip" };
      const reply = await exchange(`${url}${path}`, { headers });
      const plain = await exchange(`${off.gateway.url}${path}`, { headers });
      const { date: _, "x-request-id": __, ...kept } = reply.headers;
      const { date: ___, "x-request-id": ____, ...expected } = plain.headers;
      assert.deepEqual(kept, expected);
      assert.deepEqual(reply.body, plain.body);
    });
  }

  test("an excluded route of an RPC method is not compressed", async () => {
    const reply = await exchange(`${url}/v1/names/secret`, {
      method: "POST",
      headers: { "content-type": "application/json", "accept-encoding": "gzip" },
      body: JSON.stringify({ note: "x".repeat(5000) }),
    });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers["content-encoding"], undefined);
  });

  test("a request with no-transform gets the response as it is", async () => {
    const headers = { "accept-encoding": "gzip", "cache-control": "no-transform" };
    const reply = await exchange(`${url}/legacy/sized`, { headers });
    assert.equal(reply.headers["content-encoding"], undefined);
    assert.equal(reply.body.length, 15_000);
  });

  test("304 has the entity tag that the compressed response had", async () => {
    const reply = await exchange(`${url}/legacy/unmodified`, { headers: { "accept-encoding": "gzip" } });
    assert.equal(reply.status, 304);
    assert.equal(reply.headers.etag, 'W/"v1"');
  });

  test("a stream gives each message when it comes", async () => {
    const controller = new AbortController();
    const response = await fetch(`${url}/legacy/slow`, {
      headers: { "accept-encoding": "gzip" },
      signal: controller.signal,
    });
    assert.equal(response.headers.get("content-encoding"), "gzip");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const read = async (): Promise<string> => Buffer.from((await reader.read()).value ?? []).toString();
    assert.equal(await read(), '{"n":1}\n');
    slow?.write('{"n":2}\n');
    assert.equal(await read(), '{"n":2}\n');
    slow?.end('{"n":3}\n');
    assert.equal(await read(), '{"n":3}\n');
    assert.equal((await reader.read()).done, true);
  });

  test("a backend that breaks off its response cuts the compressed one short, too", async () => {
    await assert.rejects(
      exchange(`${url}/legacy/cut`, { headers: { "accept-encoding": "gzip" } }).then(reply =>
        gunzipSync(reply.body),
      ),
    );
  });

  test("a client that does not read a compressed stream stops the backend, and leaving ends it", async () => {
    const socket = connect(system.gateway.httpPort, "127.0.0.1");
    socket.write("GET /legacy/endless HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n");
    await once(socket, "readable");
    socket.pause();
    const stopped = async (): Promise<number> => {
      for (let before = -1; ; ) {
        if (before === endless.bytes) return before;
        before = endless.bytes;
        await new Promise(resolve => setTimeout(resolve, 200));
      }
    };
    assert.ok((await stopped()) < 64 << 20);
    socket.destroy();
    await endless.closed;
  });

  test("without http.compression nothing is compressed and nothing is said of it", async () => {
    const reply = await create(long, "gzip, br", off.gateway.url);
    assert.equal(reply.headers["content-encoding"], undefined);
    assert.equal(reply.headers.vary, undefined);
    assert.equal((await send(`${off.gateway.url}/legacy/sized`)).headers.get("etag"), '"v1"');
  });
});
