import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { after, before, describe, test } from "node:test";
import type { Engine } from "../../../src/server/engine.js";
import type { InboundRequest } from "../../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../../src/server/response-writer.js";

type Handler = (request: InboundRequest, response: ResponseWriter) => unknown;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
  readonly code: number;
}

describe("requests over HTTP/2", () => {
  let engine: Engine;
  let session: ClientHttp2Session;
  let handler: Handler;

  before(async () => {
    engine = await startFastifyEngine({
      host: "127.0.0.1",
      port: 0,
      tls: undefined,
      http2: true,
      headerLimit: 16_384,
      requestTimeout: 10_000,
      refused: () => undefined,
      handle: (request, response) => void handler(request, response),
    });
    session = connect(`http://127.0.0.1:${engine.port}`);
  });

  after(async () => {
    session.close();
    await engine.close();
  });

  /** Sends a request and waits for the end of its stream. */
  async function ask(headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Received> {
    const stream = session.request(headers, { endStream: body === undefined });
    let received: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let text = "";
    stream.on("response", got => {
      received = got;
    });
    stream.on("trailers", got => {
      trailers = got;
    });
    stream.setEncoding("utf8").on("data", chunk => {
      text += chunk;
    });
    stream.on("error", () => undefined);
    if (body !== undefined) stream.end(body);
    await once(stream, "close");
    return { headers: received, trailers, body: text, code: stream.rstCode ?? 0 };
  }

  test("a request has its version, method, path, query and headers, :authority as host", async () => {
    handler = (request, response) => {
      const { version, method, path, query, remoteAddress, encrypted, hasBody } = request;
      const all = { version, method, path, query, remoteAddress, encrypted, hasBody, ...request.headers() };
      response.send(200, [["content-type", "application/json"]], JSON.stringify(all));
    };
    const { headers, body } = await ask({
      ":path": "/v1/a%2Fb?x=1&y=2",
      "x-one": "1",
      cookie: ["a=b", "c=d"],
    });
    assert.deepEqual(JSON.parse(body), {
      version: 2,
      method: "GET",
      path: "/v1/a%2Fb",
      query: "x=1&y=2",
      remoteAddress: "127.0.0.1",
      encrypted: false,
      hasBody: false,
      host: `127.0.0.1:${engine.port}`,
      "x-one": "1",
      cookie: "a=b; c=d",
    });
    assert.equal(headers["content-length"], String(body.length));
    assert.ok(Math.abs(Date.parse(headers.date ?? "") - Date.now()) < 10_000);
  });

  test("a body arrives whole, and a response that is larger than every window arrives whole", async () => {
    handler = async (request, response) => response.send(200, [], await request.body(1 << 24));
    const sent = Buffer.alloc(5_000_000, "abcdefg");
    const { headers, body } = await ask({ ":path": "/", ":method": "POST" }, sent);
    assert.equal(body, sent.toString());
    assert.equal(headers["content-length"], "5000000");
  });

  test("a streamed response has its pieces and its trailers, and no length", async () => {
    handler = (_request, response) => {
      const writer = response.open(200, [["content-type", "application/grpc"]]);
      writer.write(Buffer.from("one,"));
      setImmediate(() => {
        writer.write(Buffer.from("two"));
        writer.end([["grpc-status", "0"]]);
      });
    };
    const { headers, trailers, body } = await ask({ ":path": "/", ":method": "POST" }, "");
    assert.equal(body, "one,two");
    assert.equal(headers["content-length"], undefined);
    assert.equal(trailers["grpc-status"], "0");
  });

  test("HTTP/1.1 is served on the same port", async () => {
    handler = (request, response) => response.send(200, [], `${request.version}`);
    const response = await fetch(`http://127.0.0.1:${engine.port}/`);
    assert.equal(await response.text(), "1");
  });
});
