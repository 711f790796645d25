import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ErrorCode, Flag, FrameType } from "../../../src/h2/protocol.js";
import type { Engine } from "../../../src/server/engine.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import { block, frame, settings } from "../../upstream/h2/raw-server.js";
import { onLoopback } from "../loopback.js";
import { get, getFields, post, preface, RawClient } from "./raw-client.js";

type Fields = readonly (readonly [name: string, value: string])[];

const malformed: Readonly<Record<string, Fields>> = {
  "no :method": getFields({ ":method": undefined }),
  "no :scheme": getFields({ ":scheme": undefined }),
  "no :path": getFields({ ":path": undefined }),
  "an empty :path": getFields({ ":path": "" }),
  "a :path that does not begin with /": getFields({ ":path": "v1" }),
  "a :path of * with GET": getFields({ ":path": "*" }),
  "a :path with a space": getFields({ ":path": "/a b" }),
  "a :path with a byte beyond ASCII": getFields({ ":path": "/\xe4" }),
  "a :method that is no token": getFields({ ":method": "GE T" }),
  "two :path": [...getFields(), [":path", "/other"]],
  "two :authority": [[":authority", "other.example"], ...getFields()],
  "a response's :status": [[":status", "200"], ...getFields()],
  "an unknown pseudo-header": [[":secret", "1"], ...getFields()],
  ":protocol of an extended CONNECT, which is not offered": [
    [":protocol", "websocket"],
    ...getFields({ ":method": "CONNECT" }),
  ],
  "a pseudo-header behind other fields": [["accept", "*/*"], ...getFields()],
  "a name in upper case": [...getFields(), ["Accept", "*/*"]],
  "a name with a space": [...getFields(), ["a b", "1"]],
  "a name with a character that no token has": [...getFields(), ["a(b", "1"]],
  "an empty name": [...getFields(), ["", "1"]],
  "a value with a line end": [...getFields(), ["a", "1\r\nb: 2"]],
  "a value with NUL": [...getFields(), ["a", "\0"]],
  "a value with a control character": [...getFields(), ["a", "\x01"]],
  "a value that begins with a space": [...getFields(), ["a", " 1"]],
  "a value that ends with a tab": [...getFields(), ["a", "1\t"]],
  connection: [...getFields(), ["connection", "close"]],
  "keep-alive": [...getFields(), ["keep-alive", "1"]],
  "proxy-connection": [...getFields(), ["proxy-connection", "keep-alive"]],
  "transfer-encoding": [...getFields(), ["transfer-encoding", "chunked"]],
  upgrade: [...getFields(), ["upgrade", "websocket"]],
  "te other than trailers": [...getFields(), ["te", "gzip"]],
  "host that differs from :authority": [...getFields(), ["host", "other.example"]],
  "two hosts, equal or not": [...getFields(), ["host", "example.com"], ["host", "example.com"]],
  "two content-lengths": [...getFields(), ["content-length", "0"], ["content-length", "0"]],
  "a content-length that is no number": [...getFields(), ["content-length", "+1"]],
  "a content-length of a request without content": [...getFields(), ["content-length", "5"]],
  "CONNECT with a path": getFields({ ":method": "CONNECT" }),
};

describe("malformed requests over HTTP/2", () => {
  let engine: Engine;
  let client: RawClient;
  let handled: string[];
  let refused: string[];
  let stream = 1;

  before(async () => {
    engine = await startFastifyEngine({
      ...onLoopback,
      http2: true,
      headerLimit: 2048,
      refused: ({ reason }) => void refused.push(reason),
      handle: (request, response) => {
        handled.push(request.path);
        const body = request.body(1 << 20);
        if (body instanceof Uint8Array) response.send(200, [], body);
        else
          body.then(
            bytes => response.send(200, [], bytes),
            error => handled.push(error.name),
          );
      },
    });
    client = await RawClient.open(engine.port);
  });

  after(async () => {
    client.destroy();
    await engine.close();
  });

  async function stillServes(): Promise<void> {
    stream += 2;
    client.send(get(stream, { ":path": "/next" }));
    assert.equal(await client.status(stream), "200");
  }

  for (const [what, fields] of Object.entries(malformed)) {
    test(`a request with ${what} is reset with PROTOCOL_ERROR, counted, and not handled`, async () => {
      handled = [];
      refused = [];
      stream += 2;
      client.send(frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream, block(fields)));
      assert.equal(await client.resetOf(stream), ErrorCode.ProtocolError);
      await stillServes();
      assert.deepEqual(handled, ["/next"]);
      assert.deepEqual(refused, ["MALFORMED_REQUEST"]);
    });
  }

  const refusals: Readonly<Record<string, readonly [status: string, reason: string, fields: Fields]>> = {
    "without :authority and host": ["400", "MALFORMED_REQUEST", getFields({ ":authority": undefined })],
    "with CONNECT": [
      "405",
      "METHOD_NOT_ALLOWED",
      [
        [":method", "CONNECT"],
        [":authority", "a.example:1"],
      ],
    ],
    "with a method that is not HTTP's": ["400", "MALFORMED_REQUEST", getFields({ ":method": "BREW" })],
    "with more bytes of headers than allowed": [
      "431",
      "HEADERS_TOO_LARGE",
      [...getFields(), ["x", "y".repeat(2048)]],
    ],
  };

  for (const [what, [status, reason, fields]] of Object.entries(refusals)) {
    test(`a request ${what} gets ${status}, and the connection goes on`, async () => {
      handled = [];
      refused = [];
      stream += 2;
      client.send(frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream, block(fields)));
      assert.equal(await client.status(stream), status);
      assert.match(await client.content(stream), new RegExp(`"reason":"${reason}"`));
      await stillServes();
      assert.deepEqual(handled, ["/next"]);
      assert.deepEqual(refused, [reason]);
    });
  }

  test("host without :authority, te: trailers and host like :authority are well-formed", async () => {
    handled = [];
    for (const fields of [
      [...getFields({ ":authority": undefined }), ["host", "a.example"] as const],
      [...getFields(), ["te", "trailers"] as const],
      [...getFields(), ["host", "EXAMPLE.com"] as const],
    ]) {
      stream += 2;
      client.send(frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream, block(fields)));
      assert.equal(await client.status(stream), "200");
    }
  });

  const bodies: Readonly<Record<string, readonly [length: string, content: string, end: boolean]>> = {
    "longer than its content-length": ["3", "four", false],
    "shorter than its content-length": ["5", "four", true],
  };
  for (const [what, [length, content, end]] of Object.entries(bodies)) {
    test(`a body that is ${what} is reset with PROTOCOL_ERROR, and its reader gets an error`, async () => {
      handled = [];
      stream += 2;
      client.send(post(stream, { "content-length": length }));
      client.send(frame(FrameType.Data, end ? Flag.EndStream : 0, stream, Buffer.from(content)));
      assert.equal(await client.resetOf(stream), ErrorCode.ProtocolError);
      await stillServes();
      assert.ok(handled.length === 1 || handled.includes("MalformedBodyError"), handled.join());
    });
  }

  test("trailers end a body and are dropped; those that do not end it, and malformed ones, are PROTOCOL_ERROR", async () => {
    handled = [];
    const trailers = (id: number, flags: number, name: string): Buffer =>
      frame(FrameType.Headers, Flag.EndHeaders | flags, id, block([[name, "1"]]));
    const body = (id: number): Buffer => frame(FrameType.Data, 0, id, Buffer.from("body"));
    stream += 2;
    client.send(post(stream), body(stream), trailers(stream, Flag.EndStream, "x-checksum"));
    assert.equal(await client.content(stream), "body");
    for (const [flags, name] of [
      [0, "x-checksum"],
      [Flag.EndStream, ":path"],
      [Flag.EndStream, "X-Upper"],
      [Flag.EndStream, "connection"],
    ] as const) {
      stream += 2;
      client.send(post(stream), body(stream), trailers(stream, flags, name));
      assert.equal(await client.resetOf(stream), ErrorCode.ProtocolError, name);
    }
    await stillServes();
  });

  test("a preface without SETTINGS behind it ends the connection with PROTOCOL_ERROR", async () => {
    const other = await RawClient.open(engine.port, Buffer.concat([preface, get(1)]));
    assert.equal((await other.goAway()).code, ErrorCode.ProtocolError);
    await other.closed;
  });

  test("a preface in pieces of one byte is recognised", async () => {
    const other = await RawClient.open(engine.port, Buffer.alloc(0));
    for (const byte of Buffer.concat([preface, settings(), get(1)])) {
      other.send(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    assert.equal(await other.status(1), "200");
    other.destroy();
  });

  test("bytes that only begin like a preface are an HTTP/1.1 request that is not valid", async () => {
    refused = [];
    const other = await RawClient.open(engine.port, Buffer.from("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    await other.closed;
    assert.deepEqual(refused, ["MALFORMED_REQUEST"]);
  });
});
