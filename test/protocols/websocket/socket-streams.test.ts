import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { engineUnderTest } from "../../engine.js";
import { send } from "../../gateway/harness.js";
import { serveTicks, startTicksGateway } from "../../streams/ticks.js";

interface Ended {
  /** The frames before the close, parsed where they are JSON. */
  readonly frames: unknown[];
  readonly code: number;
  readonly reason: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the shape of a body is what tests look at
type Body = any;

const yaml = `
auth: { policies: [{ match: { rpc: test.v1.Ticks/Talk }, require: { rule: "request.text != 'secret'" } }] }
http:
  rules:
    - { selector: test.v1.Ticks.Talk, post: "/v1/rooms/{room}:talk", body: "*", additional_bindings: [{ get: "/v1/rooms/{room}/live" }] }
    - { selector: test.v1.Ticks.Send, post: "/v1/rooms/{room}/sends", body: "*" }
server: { drain: 300ms }
`;

describe(`streams over WebSocket on ${engineUnderTest()}`, { timeout: 120_000 }, () => {
  const ticks = serveTicks("limits: { body: 96KiB }, auth: none", yaml);

  const url = (path: string): string => `ws://127.0.0.1:${ticks.gateway.httpPort}${path}`;

  async function open(path: string, options: WebSocket.ClientOptions = {}): Promise<WebSocket> {
    const client = new WebSocket(url(path), { perMessageDeflate: false, ...options });
    client.on("error", () => undefined);
    await once(client, "open");
    return client;
  }

  /** Sends frames on a new socket and waits for its end. */
  async function run(
    path: string,
    frames: (string | Buffer)[],
    options?: WebSocket.ClientOptions,
  ): Promise<Ended> {
    const client = new WebSocket(url(path), { perMessageDeflate: false, ...options });
    client.on("error", () => undefined);
    const got: unknown[] = [];
    client.on("message", (data, isBinary) => got.push(isBinary ? data : JSON.parse(String(data))));
    client.on("open", () => {
      for (const frame of frames) client.send(frame);
    });
    const [code, reason] = await once(client, "close");
    return { frames: got, code, reason: String(reason) };
  }

  /** The ordinary response to a handshake that is refused. */
  async function refused(
    path: string,
    headers: Record<string, string> = {},
  ): Promise<{ response: IncomingMessage; body: Body }> {
    const client = new WebSocket(url(path), { headers });
    client.on("error", () => undefined);
    const [, response] = (await once(client, "unexpected-response")) as [unknown, IncomingMessage];
    let text = "";
    for await (const chunk of response) text += chunk;
    client.terminate();
    return { response, body: JSON.parse(text) };
  }

  const end = '{"end":true}';

  test("a server stream without body starts at once from path and query and closes with 1000", async () => {
    const { frames, code } = await run("/v1/rooms/a/ticks?count=2", []);
    assert.deepEqual(frames, [
      { room: "a", seq: "1", text: "tick 1" },
      { room: "a", seq: "2", text: "tick 2" },
    ]);
    assert.equal(code, 1000);
  });

  test("a server stream with a body starts with the client's first frame", async () => {
    const { frames, code } = await run("/v1/rooms/a:find", ['{"count":1,"since":"4"}']);
    assert.deepEqual([frames, code], [[{ room: "a", seq: "5", text: "tick 5" }], 1000]);
    const bare = await run("/v1/rooms/a:find", [end]);
    assert.deepEqual([bare.frames, bare.code], [[], 1000]);
  });

  test("a client stream ends with the control frame, and its response is one frame", async () => {
    ticks.backend.received.length = 0;
    const { frames, code } = await run("/v1/rooms/a/sends", ['{"seq":1}', '{"seq":2}', end]);
    assert.deepEqual([frames, code], [[{ room: "a", count: 2, bytes: "7" }], 1000]);
  });

  test("both sides talk at once on a POST template, path in the first message", async () => {
    ticks.backend.received.length = 0;
    const client = await open("/v1/rooms/a:talk");
    client.send('{"seq":1,"text":"x"}');
    assert.equal(String((await once(client, "message"))[0]), '{"room":"a","seq":"2","text":"x"}');
    client.send('{"seq":5,"text":"y"}');
    assert.equal(String((await once(client, "message"))[0]), '{"seq":"6","text":"y"}');
    const closed = once(client, "close");
    client.send(` { "end" : true } `);
    assert.equal((await closed)[0], 1000);
  });

  test("a rule without body takes whole messages, path and query in the first", async () => {
    ticks.backend.received.length = 0;
    const { frames, code } = await run("/v1/rooms/a/live?kind=k", ['{"seq":1}', '{"seq":2}', end]);
    assert.equal(code, 1000);
    assert.equal(frames.length, 2);
    assert.deepEqual(
      ticks.backend.received.map(({ message }) => [message.room, message.kind, message.seq]),
      [
        ["a", "k", 1],
        ["", "", 2],
      ],
    );
    ticks.backend.received.length = 0;
    assert.equal((await run("/v1/rooms/a/live?kind=k", [end])).code, 1000);
    assert.deepEqual(
      ticks.backend.received.map(({ message }) => [message.room, message.kind]),
      [["a", "k"]],
    );
  });

  test("HttpBody comes and goes in binary frames", async () => {
    const down = await run("/v1/files/a?count=2", []);
    assert.deepEqual([down.frames.map(String), down.code], [["1", "2"], 1000]);
    const up = await run("/v1/files", [Buffer.from([1, 2]), Buffer.from([3]), end]);
    assert.deepEqual(
      [(up.frames[0] as Body).count, (up.frames[0] as Body).contentType, up.code],
      [2, "application/octet-stream", 1000],
    );
  });

  test("a failure of the backend is the last frame, then the close code 4000 + its HTTP status", async () => {
    const { frames, code, reason } = await run("/v1/rooms/a/ticks?count=1&fail=5", []);
    const [, last] = frames as Body[];
    assert.deepEqual(
      [code, reason, last.error.code, last.error.message],
      [4404, "NOT_FOUND", 5, "failed after 1"],
    );
    const talk = await run("/v1/rooms/a:talk", ['{"text":"fail"}']);
    assert.deepEqual([talk.code, talk.reason], [4409, "ABORTED"]);
  });

  test("large messages come whole and in order, before the failure behind them", async () => {
    const { frames, code } = await run("/v1/rooms/a/ticks?count=3&size=100000&fail=5", []);
    assert.deepEqual(
      (frames as Body[]).map(frame => frame.seq ?? frame.error.code),
      ["1", "2", "3", 5],
    );
    assert.equal(code, 4404);
  });

  test("large messages of a client reach the backend in order, with the small ones and the end behind them", async () => {
    const large = "x".repeat(70_000);
    const both = await run("/v1/rooms/a:talk", [
      `{"seq":1,"text":"${large}"}`,
      '{"seq":2}',
      `{"seq":3,"text":"${large}"}`,
      end,
    ]);
    assert.deepEqual(
      (both.frames as Body[]).map(({ seq, text = "" }) => [seq, text.length]),
      [
        ["2", large.length],
        ["3", 0],
        ["4", large.length],
      ],
    );
    assert.equal(both.code, 1000);
    const padded = await run("/v1/rooms/a:find", [`{"count":1,"since":"4"${" ".repeat(70_000)}}`]);
    assert.deepEqual([padded.frames, padded.code], [[{ room: "a", seq: "5", text: "tick 5" }], 1000]);
    const wrong = await run("/v1/rooms/a:talk", [`{"seqq":1,"text":"${large}"}`]);
    assert.equal((wrong.frames.at(-1) as Body).error.reason, "UNKNOWN_FIELD");
  });

  const mistakes: [string, (string | Buffer)[], number, string][] = [
    ["what is not JSON", ["nothing"], 4400, "MALFORMED_JSON"],
    ["an empty frame", [""], 4400, "MALFORMED_JSON"],
    ["a wrong field", ['{"seqq":1}'], 4400, "UNKNOWN_FIELD"],
    ["a wrong field in a later message", ['{"seq":1}', '{"seq":"x"}'], 4400, "INVALID_VALUE"],
    ["another value for a field of the path", ['{"room":"b"}'], 4400, "FIELD_COLLISION"],
    ["one in a later message", ["{}", '{"room":"b"}'], 4400, "FIELD_COLLISION"],
    ["a message that a policy denies", ["{}", '{"text":"secret"}'], 4403, "POLICY_DENIED"],
    ["a message behind the end", [end, "{}"], 4400, "MALFORMED_REQUEST"],
    ["a binary frame", [Buffer.from("{}")], 4415, "UNSUPPORTED_MEDIA_TYPE"],
    ["a message above the body limit", [`{"text":"${"x".repeat(100_000)}"}`], 4413, "BODY_TOO_LARGE"],
  ];
  for (const [what, frames, code, reason] of mistakes) {
    test(`${what} ends a socket with ${code} ${reason} in its last frame`, async () => {
      const ended = await run("/v1/rooms/a:talk", frames);
      // The backend may have ended first where its requests are over.
      if (what === "a message behind the end" && ended.code === 1000) return;
      assert.deepEqual([ended.code, (ended.frames.at(-1) as Body).error.reason], [code, reason]);
    });
  }

  test("a second message for a method that takes one is refused", async () => {
    const ended = await run("/v1/rooms/a/ticks?hang=true", ["{}"]);
    assert.deepEqual([ended.code, (ended.frames.at(-1) as Body).error.reason], [4400, "MALFORMED_REQUEST"]);
    const twice = await run("/v1/rooms/a:find", ['{"hang":true}', "{}"]);
    assert.equal(twice.code, 4400);
  });

  test("an error in path, query, headers or method gets an ordinary response before the upgrade", async () => {
    const cases: [string, Record<string, string>, number, string][] = [
      ["/v1/rooms/a/ticks?nope=1", {}, 400, "UNKNOWN_PARAMETER"],
      ["/v1/rooms/a:talk?kind=k", {}, 400, "UNKNOWN_PARAMETER"],
      ["/v1/nowhere", {}, 404, "ROUTE_NOT_FOUND"],
      ["/v1/rooms/a/ticks", { origin: "https://evil.example" }, 403, "ORIGIN_NOT_ALLOWED"],
      ["/v1/rooms/a/ticks", { "x-request-timeout": "no" }, 400, "INVALID_TIMEOUT"],
    ];
    for (const [path, headers, status, reason] of cases) {
      const { response, body } = await refused(path, headers);
      assert.deepEqual([path, response.statusCode, body.reason], [path, status, reason]);
    }
  });

  test("an unsupported version of WebSocket gets 426 and the supported one", async () => {
    const socket = connect(ticks.gateway.httpPort, "127.0.0.1");
    socket.write(
      "GET /v1/rooms/a/ticks HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
        "sec-websocket-version: 8\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let text = "";
    socket.on("data", chunk => {
      text += chunk;
    });
    await once(socket, "close");
    assert.match(text, /^HTTP\/1.1 426 /);
    assert.match(text, /^sec-websocket-version: 13\r$/im);
  });

  test("a page of the own origin may open a socket, and extensions that it offers are declined", async () => {
    const client = new WebSocket(url("/v1/rooms/a/ticks?hang=true"), {
      headers: { origin: `http://127.0.0.1:${ticks.gateway.httpPort}` },
    });
    const [[response]] = await Promise.all([once(client, "upgrade"), once(client, "open")]);
    assert.equal(response.headers["sec-websocket-extensions"], undefined);
    assert.ok(response.headers["x-request-id"]);
    client.terminate();
  });

  test("a client that leaves cancels the call, with a close frame and without", async () => {
    for (const leave of [(client: WebSocket) => client.close(), (client: WebSocket) => client.terminate()]) {
      ticks.backend.cancelled = 0;
      const client = await open("/v1/rooms/a/ticks?count=1&hang=true");
      await once(client, "message");
      leave(client);
      await ticks.backend.onCancelled();
    }
  });

  test("a deadline ends the socket with 4504", async () => {
    const ended = await run("/v1/rooms/a/ticks?count=1&hang=true", [], {
      headers: { "x-request-timeout": "300ms" },
    });
    assert.deepEqual([ended.code, ended.reason], [4504, "DEADLINE_EXCEEDED"]);
  });

  test("10,000 tiny messages all arrive", async () => {
    ticks.backend.received.length = 0;
    const client = await open("/v1/rooms/a:talk");
    let got = 0;
    client.on("message", () => got++);
    for (let index = 0; index < 10_000; index++) client.send("{}");
    client.send(end);
    assert.deepEqual([(await once(client, "close"))[0], got], [1000, 10_000]);
  });

  test("a client that does not read stops the backend, and gets all once it does", async () => {
    ticks.backend.written = 0;
    const client = await open("/v1/rooms/a/ticks?count=20000&size=4000");
    client.pause();
    let before = -1;
    while (before !== ticks.backend.written || before === 0) {
      before = ticks.backend.written;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    assert.ok(ticks.backend.written < 15_000, `${ticks.backend.written} messages were read of the backend`);
    let got = 0;
    client.on("message", () => got++);
    client.resume();
    assert.deepEqual([(await once(client, "close"))[0], got], [1000, 20_000]);
  });

  test("frames that break RFC 6455 end the call", async () => {
    ticks.backend.cancelled = 0;
    const socket: Socket = connect(ticks.gateway.httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      "GET /v1/rooms/a:talk HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await once(socket, "data");
    socket.resume();
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]));
    await once(socket, "close");
    await ticks.gateway.logged(
      line => line.status === 101 && (line.reason === "MALFORMED_REQUEST" || line.reason === "CLIENT_CLOSED"),
    );
  });

  test("sockets are counted and logged with their end, and are in no latency", async () => {
    const line = await ticks.gateway.logged(
      ({ status, grpc_code }) => status === 101 && grpc_code === "NOT_FOUND",
    );
    assert.deepEqual([line.method, line.route, line.reason], ["GET", "/v1/rooms/{room}/ticks", "NOT_FOUND"]);
    const { text } = await send(`${ticks.gateway.admin}/metrics`);
    assert.match(
      text,
      /^protogate_streams_ended_total\{route="\/v1\/rooms\/\{room\}\/ticks",method="GET",reason="ok"\} [1-9]/m,
    );
    assert.match(text, /^protogate_streams_ended_total\{.*reason="client_closed"\} [1-9]/m);
    assert.match(
      text,
      /^protogate_http_requests_total\{route="\/v1\/rooms\/\{room\}\/ticks",method="GET",code="101"/m,
    );
    assert.doesNotMatch(
      text,
      /^protogate_http_request_duration_seconds_count\{route="\/v1\/rooms\/\{room\}\/live"/m,
    );
  });

  test("a gateway that shuts down lets a socket finish, and ends it in band when the time is over", async () => {
    const own = await startTicksGateway(ticks.backend.port, "", "server: { drain: 500ms }");
    const client = new WebSocket(`ws://127.0.0.1:${own.httpPort}/v1/rooms/a:talk`);
    await once(client, "open");
    client.send("{}");
    await once(client, "message");
    const closing = own.close();
    client.send('{"seq":1}');
    await once(client, "message");
    const [[last], [code]] = await Promise.all([once(client, "message"), once(client, "close")]);
    assert.deepEqual([JSON.parse(String(last)).error.reason, code], ["SHUTTING_DOWN", 4503]);
    await closing;
  });

  test("a socket outlives a reload, and is ended in band when the time to drain is over", async () => {
    const client = await open("/v1/rooms/a:talk");
    await ticks.gateway.reload();
    client.send('{"seq":1}');
    await once(client, "message");
    const [[last], [code]] = await Promise.all([once(client, "message"), once(client, "close")]);
    assert.deepEqual([JSON.parse(String(last)).error.reason, code], ["SHUTTING_DOWN", 4503]);
  });
});
