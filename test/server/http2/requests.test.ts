import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { Engine, EngineOptions } from "../../../src/server/engine.js";
import type { BodyReader, InboundRequest } from "../../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import type { BodyWriter, ResponseWriter } from "../../../src/server/response-writer.js";
import { Authority, withoutOpenssl } from "../../auth/certificates.js";
import { onLoopback } from "../loopback.js";

type Handler = (request: InboundRequest, response: ResponseWriter) => unknown;

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
  readonly code: number;
}

let handler: Handler;

const options: EngineOptions = {
  ...onLoopback,
  http2: true,
  headerLimit: 16_384,
  requestTimeout: 10_000,
  handle: (request, response) => void handler(request, response),
};

describe("requests over HTTP/2", () => {
  let engine: Engine;
  let session: ClientHttp2Session;
  before(async () => {
    engine = await startFastifyEngine(options);
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
    // `once` would reject with the error of the stream.
    await new Promise(resolve => stream.on("close", resolve));
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

  test("HEAD gets the length of the body and no body, whether it is sent whole or streamed", async () => {
    handler = (_request, response) => response.send(200, [], "four");
    const whole = await ask({ ":path": "/", ":method": "HEAD" });
    assert.deepEqual([whole.headers["content-length"], whole.body], ["4", ""]);
    handler = (_request, response) => {
      const writer = response.open(200, [["content-length", "4"]]);
      writer.write(Buffer.from("four"));
      writer.end();
    };
    const streamed = await ask({ ":path": "/", ":method": "HEAD" });
    assert.deepEqual([streamed.headers["content-length"], streamed.body], ["4", ""]);
  });

  for (const status of [204, 304]) {
    test(`a response with the status ${status} has neither body nor length`, async () => {
      handler = (_request, response) => response.send(status, [["etag", "x"]], "dropped");
      const { headers, body } = await ask({ ":path": "/" });
      assert.deepEqual(
        [headers[":status"], headers.etag, headers["content-length"], body],
        [status, "x", undefined, ""],
      );
    });
  }

  test("an empty body has length 0, but in a gRPC response, which is all head", async () => {
    handler = (_request, response) => response.send(200, [["content-type", "text/plain"]], "");
    assert.equal((await ask({ ":path": "/" })).headers["content-length"], "0");
    handler = (_request, response) =>
      response.send(
        200,
        [
          ["content-type", "application/grpc+proto"],
          ["grpc-status", "12"],
        ],
        "",
      );
    const { headers, body, code } = await ask({ ":path": "/", ":method": "POST" }, "x");
    assert.deepEqual(
      [headers["grpc-status"], headers["content-length"], body, code],
      ["12", undefined, "", 0],
    );
  });

  test("headers that no HTTP/2 response has are left out, and a backend's date is kept", async () => {
    handler = (_request, response) =>
      response.send(
        200,
        [
          ["keep-alive", "timeout=5"],
          ["transfer-encoding", "chunked"],
          ["x-bad", "a\nb"],
          ["x-good", "caf\xe9"],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["date", "Thu, 01 Jan 2026 00:00:00 GMT"],
        ],
        "",
      );
    const { headers } = await ask({ ":path": "/" });
    assert.deepEqual(Object.fromEntries(Object.entries(headers)), {
      ":status": 200,
      "x-good": "caf\xe9",
      "set-cookie": ["a=1", "b=2"],
      date: "Thu, 01 Jan 2026 00:00:00 GMT",
      "content-length": "0",
    });
  });

  test("a request with expect: 100-continue gets 100 when its body is read", async () => {
    handler = async (request, response) => response.send(200, [], await request.body(100));
    const stream = session.request({ ":path": "/", ":method": "POST", expect: "100-continue" });
    await once(stream, "continue");
    stream.end("body");
    stream.setEncoding("utf8");
    assert.deepEqual(await once(stream, "data"), ["body"]);
    stream.resume();
    await once(stream, "close");
  });

  test("a body beyond its limit fails while it comes, and what the client has not sent of it is declined", async () => {
    handler = async (request, response) => {
      const error = await Promise.resolve(request.body(10)).catch((reason: Error) => reason.name);
      response.send(413, [], String(error));
    };
    const stream = session.request({ ":path": "/", ":method": "POST" });
    stream.on("error", () => undefined).setEncoding("utf8");
    stream.write("more than ten bytes");
    assert.deepEqual(await once(stream, "data"), ["BodyTooLargeError"]);
    stream.resume();
    await once(stream, "close");
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });

  test("a body that does not come within the time of a request fails", async () => {
    const slow = await listen({ requestTimeout: 50 });
    handler = async (request, response) => {
      const error = await Promise.resolve(request.body(10)).catch((reason: Error) => reason.name);
      response.send(408, [], String(error));
    };
    const stream = slow.session.request({ ":path": "/", ":method": "POST" });
    stream.on("error", () => undefined).setEncoding("utf8");
    assert.deepEqual(await once(stream, "data"), ["BodyTimeoutError"]);
    await slow.close();
  });

  test("a paused body stops its sender, and goes on where it stopped", async () => {
    let reader: BodyReader | undefined;
    let got = 0;
    handler = (request, response) => {
      reader = request.stream(1 << 24);
      reader.start({
        chunk: chunk => {
          got += chunk.length;
          reader?.pause();
        },
        end: () => response.send(200, [], String(got)),
        fail: error => response.send(400, [], error.name),
      });
    };
    const stream = session.request({ ":path": "/", ":method": "POST" });
    stream.setEncoding("utf8");
    stream.end(Buffer.alloc(2_000_000));
    while (got === 0) await new Promise(setImmediate);
    await new Promise(resolve => session.ping(resolve));
    const before = got;
    await new Promise(resolve => session.ping(resolve));
    assert.equal(got, before);
    assert.ok(got < 200_000, `${got} bytes came`);
    const again = setInterval(() => reader?.resume(), 0);
    assert.deepEqual(await once(stream, "data"), ["2000000"]);
    clearInterval(again);
  });

  test("a writer that is faster than its client has to wait, and is notified when to go on", async () => {
    let writer: BodyWriter | undefined;
    let written = 0;
    let waits = 0;
    const chunk = Buffer.alloc(16_384);
    handler = (_request, response) => {
      writer = response.open(200, []);
      const fill = (): void => {
        while (written < 4_000_000) {
          written += chunk.length;
          if (writer?.write(chunk) === true) continue;
          waits++;
          return;
        }
        writer?.end();
      };
      writer.onDrain(fill);
      fill();
    };
    const stream = session.request({ ":path": "/" });
    await once(stream, "response");
    await new Promise(resolve => session.ping(resolve));
    assert.ok(written < 1_000_000, `${written} bytes were written`);
    let received = 0;
    stream.on("data", (data: Buffer) => {
      received += data.length;
    });
    await once(stream, "end");
    assert.equal(received, written);
    assert.ok(waits > 10);
  });

  test("a client that gives a request up cancels it, and the other requests of its connection go on", async () => {
    const cancelled = new Promise<void>(resolve => {
      handler = request => request.cancellation.listen(resolve);
    });
    const stream = session.request({ ":path": "/" });
    await new Promise(resolve => session.ping(resolve));
    stream.close(constants.NGHTTP2_CANCEL);
    await cancelled;
    handler = (_request, response) => response.send(200, [], "ok");
    assert.equal((await ask({ ":path": "/" })).body, "ok");
  });

  test("the end of a connection cancels its requests", async () => {
    const other = connect(`http://127.0.0.1:${engine.port}`);
    await once(other, "connect");
    const cancelled = new Promise<void>(resolve => {
      handler = request => request.cancellation.listen(resolve);
    });
    other.request({ ":path": "/" }).on("error", () => undefined);
    await new Promise(resolve => other.ping(resolve));
    other.destroy();
    await cancelled;
  });

  test("an abandoned response is seen to be incomplete, and costs its stream alone", async () => {
    handler = (_request, response) => {
      response.open(200, []).write(Buffer.from("half"));
      setImmediate(() => response.abandon());
    };
    const { body, code } = await ask({ ":path": "/" });
    assert.deepEqual([body, code], ["half", constants.NGHTTP2_INTERNAL_ERROR]);
    handler = (_request, response) => response.open(200, [["content-length", "4"]]).end();
    assert.equal((await ask({ ":path": "/" })).code, constants.NGHTTP2_INTERNAL_ERROR);
    handler = () => {
      throw new Error("a handler that fails");
    };
    assert.equal((await ask({ ":path": "/" })).code, constants.NGHTTP2_INTERNAL_ERROR);
    assert.equal(session.closed, false);
  });

  test("a response with connection: close ends the connection once its streams have ended", async () => {
    const other = await listen({});
    let first: ResponseWriter | undefined;
    handler = (_request, response) => {
      first = response;
    };
    const slow = other.session.request({ ":path": "/" });
    await new Promise(resolve => other.session.ping(resolve));
    handler = (_request, response) => response.send(200, [["connection", "close"]], "last");
    const gone = once(other.session, "goaway");
    other.session.request({ ":path": "/" }).resume();
    assert.equal((await gone)[0], constants.NGHTTP2_NO_ERROR);
    assert.equal(other.session.destroyed, false);
    first?.send(200, [], "slow");
    slow.setEncoding("utf8");
    assert.deepEqual(await once(slow, "data"), ["slow"]);
    await once(other.session, "close");
    await other.close();
  });

  test("an engine that closes ends idle connections at once and others after their streams", async () => {
    const other = await listen({});
    const idle = connect(`http://127.0.0.1:${other.engine.port}`);
    await once(idle, "remoteSettings");
    let response: ResponseWriter | undefined;
    handler = (_request, writer) => {
      response = writer;
    };
    const stream = other.session.request({ ":path": "/" });
    await new Promise(resolve => other.session.ping(resolve));
    const closed = other.engine.close();
    await once(idle, "close");
    response?.send(200, [], "done");
    stream.setEncoding("utf8");
    assert.deepEqual(await once(stream, "data"), ["done"]);
    await closed;
  });

  test("an engine that is destroyed ends connections with their streams", async () => {
    const other = await listen({});
    const cancelled = new Promise<void>(resolve => {
      handler = request => request.cancellation.listen(resolve);
    });
    other.session.on("error", () => undefined);
    other.session.request({ ":path": "/" }).on("error", () => undefined);
    await new Promise(resolve => other.session.ping(resolve));
    const closed = other.engine.close();
    other.engine.destroy();
    await cancelled;
    await closed;
  });

  /** A listener of its own and a connection to it. */
  async function listen(more: Partial<EngineOptions>): Promise<{
    readonly engine: Engine;
    readonly session: ClientHttp2Session;
    close(): Promise<void>;
  }> {
    const own = await startFastifyEngine({ ...options, ...more });
    const client = connect(`http://127.0.0.1:${own.port}`);
    await once(client, "connect");
    const close = async (): Promise<void> => {
      client.destroy();
      await own.close();
    };
    return { engine: own, session: client, close };
  }
});

describe("HTTP/2 over TLS", { skip: withoutOpenssl }, () => {
  const authority = withoutOpenssl === false ? new Authority("Test") : undefined;

  test("ALPN chooses h2 or http/1.1 on one port, and a client certificate is reported over both", async () => {
    const server = (authority as Authority).issue("server", "/CN=localhost", "IP=127.0.0.1");
    const ada = (authority as Authority).issue("ada", "/CN=ada");
    const { ca } = authority as Authority;
    const engine = await startFastifyEngine({
      ...options,
      tls: { ...server, client: { ca: ca.cert, required: true } },
      handle: (request, response) => {
        const { version, encrypted } = request;
        const subject = request.certificate?.()?.subject;
        response.send(200, [], JSON.stringify([version, encrypted, subject]));
      },
    });
    const secrets = { ca: ca.cert, cert: ada.cert, key: ada.key };
    const session = connect(`https://127.0.0.1:${engine.port}`, secrets);
    const stream = session.request({ ":path": "/" }).setEncoding("utf8");
    assert.deepEqual(await once(stream, "data"), ['[2,true,"CN=ada"]']);
    session.close();
    const socket = connectTls({
      ...secrets,
      port: engine.port,
      host: "127.0.0.1",
      ALPNProtocols: ["http/1.1"],
    });
    socket.setEncoding("latin1").write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert.match((await once(socket, "data"))[0], /\[1,true,"CN=ada"\]$/);
    const other = connectTls({ ...secrets, port: engine.port, host: "127.0.0.1", ALPNProtocols: ["h2"] });
    other.on("error", () => undefined).resume();
    other.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    await once(other, "close");
    await engine.close();
  });
});
