import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { ErrorCode, FrameType } from "../../src/h2/protocol.js";
import { engineUnderTest } from "../engine.js";
import { type Answer, send } from "../gateway/harness.js";
import { frame, settings, startRawServer, uint32 } from "../upstream/h2/raw-server.js";
import { serveTicks, startTicks, startTicksGateway } from "./ticks.js";

describe("a client stream over REST", () => {
  const key = createHash("sha256").update("k").digest("hex");
  const ticks = serveTicks(
    "limits: { body: 96KiB }, auth: [keys]",
    `auth:
  providers: { keys: { type: api_key, header: x-api-key, keys: ./keys.yaml } }
  policies: [{ match: { rpc: test.v1.Ticks/Send }, require: { rule: "request.text != 'secret'" } }]`,
    { "keys.yaml": `- { hash: "sha256:${key}", subject: a }\n` },
  );

  const post = (
    body: string | Buffer,
    type = "application/json",
    path = "/v1/rooms/a/ticks",
  ): Promise<Answer> => {
    ticks.backend.received.length = 0;
    return send(`${ticks.gateway.url}${path}`, {
      method: "POST",
      headers: { "content-type": type, "x-api-key": "k" },
      body,
    });
  };

  for (const [type, body] of [
    ["application/x-ndjson", '{"seq":1}\n\n{"seq":2}\r\n{"seq":3}'],
    ["application/json", '[{"seq":1}, {"seq":2},\n{"seq":3}]'],
    ["application/json", '{"seq":1}{"seq":2} {"seq":3}'],
  ] as const) {
    it(`a client stream over REST reads ${JSON.stringify(body)} as ${type}; the path is in its first message`, async () => {
      const { status, json } = await post(body, type);
      assert.deepEqual([status, json.count], [200, 3]);
      assert.deepEqual(
        ticks.backend.received.map(({ message }) => [message.room, message.seq]),
        [
          ["a", 1],
          ["", 2],
          ["", 3],
        ],
      );
    });
  }

  it("a client stream over REST without a body is one message of what path and query say", async () => {
    const { status, json } = await send(`${ticks.gateway.url}/v1/rooms/a/ticks`, {
      method: "POST",
      headers: { "x-api-key": "k" },
    });
    assert.deepEqual([status, json], [200, { room: "a", count: 1, bytes: "3" }]);
  });

  const mistakes = [
    ['[{"seq":1},{"seqq":2}]', 400, "UNKNOWN_FIELD", /^\[1\]\.seqq: .*did you mean "seq"\?$/],
    ['[{"seq":1},{"seq":2', 400, "MALFORMED_JSON", /ends within a value \(after 1 messages/],
    ['[{"seq":1},', 400, "MALFORMED_JSON", /ends before the array does/],
    ['[{"seq":1}{"seq":2}]', 400, "MALFORMED_JSON", /expected "," or "\]"/],
    ['[{"seq":1}]x', 400, "MALFORMED_JSON", /nothing after the array/],
    ["[,]", 400, "MALFORMED_JSON", /expected a message, found ","/],
    ['{"seq":}', 400, "MALFORMED_JSON", /\[0\]/],
    ['[{"seq":1},{"room":"b"}]', 400, "FIELD_COLLISION", /the path binds this field/],
    ['[{"seq":1},{"text":"secret"}]', 403, "POLICY_DENIED", /./],
    [`[{"text":"${"x".repeat(100_000)}"}]`, 413, "BODY_TOO_LARGE", /message 1 of the body: .* 98304 bytes/],
    [`[{"seq":1},{"text":"${"x".repeat(70_000)}","seqq":1}]`, 400, "UNKNOWN_FIELD", /^\[1\]\.seqq: /],
  ] as const;
  for (const [body, expected, reason, says] of mistakes) {
    it(`a client stream over REST refuses ${body.slice(0, 40)} with ${expected} ${reason}, and cancels the call`, async () => {
      const { status, json } = await post(body);
      assert.deepEqual([status, json.reason], [expected, reason]);
      assert.match(json.message, says);
    });
  }

  it("a client stream over REST may be larger than a message may be", async () => {
    const text = "x".repeat(1000);
    const { status, json } = await post(`[${Array(500).fill(`{"text":"${text}"}`).join()}]`);
    assert.deepEqual([status, json.count], [200, 500]);
  });

  it("large messages of a client stream over REST come whole and in order, with small ones between", async () => {
    const large = "x".repeat(70_000);
    const { status } = await post(`[{"text":"${large}","seq":1},{"seq":2},{"text":"${large}"},{"seq":4}]`);
    assert.equal(status, 200);
    assert.deepEqual(
      ticks.backend.received.map(({ message: { room, seq, text } }) => [room, seq, String(text).length]),
      [
        ["a", 1, large.length],
        ["", 2, 0],
        ["", 0, large.length],
        ["", 4, 0],
      ],
    );
  });

  it("a client stream over REST is refused with 415 where its content type is neither JSON nor lines of it", async () => {
    const { status, json } = await post("seq=1", "text/csv");
    assert.deepEqual([status, json.reason], [415, "UNSUPPORTED_MEDIA_TYPE"]);
  });

  it("a client stream over REST ends with the backend's error, also before the client has sent all", async () => {
    const { status, json } = await post('[{"text":"refuse"},{"seq":2}]');
    assert.deepEqual([status, json.reason], [400, "FAILED_PRECONDITION"]);
  });

  it("a client stream over REST of HttpBody gets a raw body in pieces, the content type with the first", async () => {
    const { status, json } = await post(Buffer.alloc(300_000, "a"), "image/png", "/v1/files");
    assert.deepEqual([status, json.contentType], [200, "image/png"]);
    assert.ok(json.count > 1, `${json.count} messages`);
  });

  it("a client stream over REST whose body is a field of HttpBody gets a raw body in pieces, the path with the first", async () => {
    ticks.backend.received.length = 0;
    const body = Buffer.alloc(300_000, "a");
    const { status } = await send(`${ticks.gateway.url}/v1/files/n`, {
      method: "PUT",
      headers: { "content-type": "image/png", "x-api-key": "k" },
      body,
    });
    assert.equal(status, 200);
    const [first, second] = ticks.backend.received;
    assert.deepEqual([first?.message.name, second?.message.name], ["n", ""]);
  });

  it("a client stream over REST that its client breaks off is cancelled at the backend", async () => {
    ticks.backend.cancelled = 0;
    const sent = request(`${ticks.gateway.url}/v1/rooms/a/ticks`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson", "x-api-key": "k" },
    });
    sent.on("error", () => undefined);
    ticks.backend.received.length = 0;
    sent.write('{"seq":1}\n');
    while (ticks.backend.received.length === 0) await new Promise(resolve => setTimeout(resolve, 10));
    sent.destroy();
    await ticks.backend.onCancelled();
  });
});

describe("a call that streams both ways over REST", () => {
  const ticks = serveTicks();

  it("a call that streams both ways over REST gets responses while its client goes on sending", async () => {
    const sent = request(`${ticks.gateway.url}/v1/rooms/a:talk`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson", accept: "application/x-ndjson" },
    });
    sent.write('{"seq":1,"text":"x"}\n');
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const chunks = response[Symbol.asyncIterator]();
    const next = async (): Promise<string> => String((await chunks.next()).value);
    assert.equal(await next(), '{"room":"a","seq":"2","text":"x"}\n');
    sent.write('{"seq":5,"text":"y"}\n');
    assert.equal(await next(), '{"seq":"6","text":"y"}\n');
    sent.end('{"text":"fail"}\n');
    assert.match(await next(), /^\{"error":\{"code":10,"reason":"ABORTED","message":"stop talking"/);
    assert.equal((await chunks.next()).done, true);
  });
});

it("a client stream may take longer than a request may", async () => {
  const backend = await startTicks();
  const gateway = await startTicksGateway(backend.port, "", "http: { limits: { request_timeout: 1s } }");
  const sent = request(`${gateway.url}/v1/rooms/a/ticks`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
  });
  sent.write('{"seq":1}\n');
  await new Promise(resolve => setTimeout(resolve, 2500));
  sent.end('{"seq":2}\n');
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  let text = "";
  for await (const chunk of response) text += String(chunk);
  assert.equal(JSON.parse(text).count, 2);
  await gateway.close();
  await backend.close();
});

it("an upload that the backend refuses, after more of it than is kept was sent, gets 503 that says none was processed", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    let bytes = 0;
    peer.onFrame(({ type, stream, payload }) => {
      if (type !== FrameType.Data) return;
      bytes += payload.length;
      if (bytes < 60_000) return;
      bytes = 0;
      peer.send(frame(FrameType.RstStream, 0, stream, uint32(ErrorCode.RefusedStream)));
    });
  });
  const gateway = await startTicksGateway(Number(server.address.split(":")[1]));
  const sent = request(`${gateway.url}/v1/rooms/a/ticks`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
  });
  sent.on("error", () => undefined);
  for (let line = 0; line < 2; line++) sent.write(`{"text":"${"x".repeat(40_000)}"}\n`);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  const { code, reason, message } = JSON.parse(text);
  assert.deepEqual([response.statusCode, code, reason], [503, 14, "UPSTREAM_UNAVAILABLE"]);
  assert.equal(
    message,
    "the upstream refused the call and processed none of it; more than 65536 bytes had been sent, too many to be kept and sent again",
  );
  sent.destroy();
  await gateway.close();
  await server.close();
});

it("a backend that does not read stops the client, or ends its stream, before 96 MiB were taken from it", async () => {
  const backend = await startTicks();
  const gateway = await startTicksGateway(backend.port, "", "server: { drain: 300ms }");
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined);
  socket.write(
    "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-hang\r\ncontent-length: 1073741824\r\n\r\n",
  );
  let response = "";
  socket.on("data", chunk => {
    response += String(chunk);
  });
  const piece = Buffer.alloc(1024 * 1024);
  // Each piece is offered when the one before was taken by the kernel; a second without that is a stop.
  const taken = (): Promise<boolean> =>
    new Promise(resolve => {
      const timer = setTimeout(() => resolve(false), 1000);
      socket.write(piece, error => {
        clearTimeout(timer);
        resolve(error == null);
      });
    });
  let sent = 0;
  while (sent < 160 && response === "" && !socket.destroyed && (await taken())) sent++;
  assert.ok(sent < 96, `${sent} MiB were taken`);
  if (response !== "") assert.match(response, /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/);
  socket.destroy();
  await gateway.close();
  await backend.close();
});

describe("uploads that a backend does not take", () => {
  const ticks = serveTicks();

  const megabyte = Buffer.alloc(1 << 20);
  const upload = async (): Promise<Socket> => {
    ticks.backend.cancelled = 0;
    const socket = connect(ticks.gateway.httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(
      "POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-hang\r\ncontent-length: 1073741824\r\n\r\n",
    );
    return socket;
  };

  it("a client that leaves in the middle of an upload is noticed behind what it has sent, and the call is cancelled", async () => {
    const socket = await upload();
    socket.write(megabyte);
    socket.end(megabyte);
    await ticks.backend.onCancelled();
    socket.destroy();
  });

  it("a client whose connection breaks in the middle of an upload is noticed, and the call is cancelled", async () => {
    const socket = await upload();
    const begun = ticks.backend.onMessage();
    socket.write(megabyte);
    await begun;
    socket.resetAndDestroy();
    await ticks.backend.onCancelled();
  });

  it("a client that leaves in the middle of an upload over HTTP/2 is noticed, and the call is cancelled", {
    skip: engineUnderTest() === "uws" && "uws speaks HTTP/1.1 alone",
  }, async () => {
    ticks.backend.cancelled = 0;
    const session = connectHttp2(ticks.gateway.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/v1/files",
      "content-type": "application/x-hang",
    });
    stream.on("error", () => undefined);
    const begun = ticks.backend.onMessage();
    stream.write(megabyte);
    await begun;
    session.destroy();
    await ticks.backend.onCancelled();
  });
});
