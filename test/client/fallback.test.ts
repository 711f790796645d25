import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { pollTransport, sseTransport } from "../../clients/js/src/fallback.js";
import type { Carrier, Transport } from "../../clients/js/src/index.js";

interface Request {
  readonly method: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

type Handler = (request: Request, response: ServerResponse) => void;

/** An HTTP server that does what a test says. @returns the URL of its sockets */
async function serve(t: TestContext, handler: Handler): Promise<string> {
  const server = createServer(async (incoming, response) => {
    const { method = "", headers } = incoming;
    handler({ method, headers, body: await text(incoming) }, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`;
}

/** What a transport reports, each to be waited for. */
class Connection {
  readonly carrier: Carrier;
  readonly frames: unknown[] = [];
  readonly opened: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  #wake: () => void = () => undefined;

  constructor(t: TestContext, transport: Transport, url: string, token?: string) {
    let opened = (): void => undefined;
    let closed = (_: { code: number; reason: string }): void => undefined;
    this.opened = new Promise(resolve => (opened = resolve));
    this.closed = new Promise(resolve => (closed = resolve));
    this.carrier = transport.connect(
      { url, token },
      {
        opened: () => opened(),
        frame: frame => {
          this.frames.push(frame);
          this.#wake();
        },
        closed: (code, reason) => closed({ code, reason }),
      },
    );
    t.after(() => this.carrier.close());
  }

  async has(count: number): Promise<void> {
    while (this.frames.length < count) await new Promise<void>(resolve => (this.#wake = resolve));
  }
}

function json(response: ServerResponse, value: unknown, status = 200, headers: object = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}

function openStream(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write('event: session\ndata: {"session":"s1"}\n\n');
}

/** Serves streams that stay open; other requests are those of `handler`. */
function streaming(handler: Handler): Handler {
  return (request, response) => {
    if (request.method === "GET") openStream(response);
    else handler(request, response);
  };
}

test("frames arrive by server-sent events in whatever pieces the stream comes", async t => {
  const asked: Request[] = [];
  const stream =
    'event: session\r\ndata: {"session":"s1"}\r\n\r\n: ping\n\nid: 1\ndata: {"type":"a","text":"é€😀"}\n\n' +
    'id: 2\ndata: {"type":\ndata: "b"}\n\ndata: not a frame\n\nevent: close\ndata: {"code":1012,"reason":"r"}\n\n';
  const url = await serve(t, async (request, response) => {
    asked.push(request);
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    for (const byte of Buffer.from(stream)) {
      response.write(Buffer.of(byte));
      await new Promise(resolve => setImmediate(resolve));
    }
  });
  const connection = new Connection(t, sseTransport(), url, "t1");
  assert.deepEqual(await connection.closed, { code: 1012, reason: "r" });
  assert.deepEqual(connection.frames, [{ type: "a", text: "é€😀" }, { type: "b" }]);
  assert.equal(asked[0]?.headers.authorization, "Bearer t1");
  assert.equal(asked[0]?.headers.accept, "text/event-stream");
  // The gateway has ended it: there is nothing to leave.
  assert.equal(asked.length, 1);
});

test("a stream that ends without a close is a lost connection", async t => {
  const url = await serve(t, (_, response) => {
    openStream(response);
    response.end();
  });
  const connection = new Connection(t, sseTransport(), url);
  assert.equal((await connection.closed).code, 1006);
});

test("frames that are sent while a request is under way go together with the next one, in order", async t => {
  const asked: Request[] = [];
  const held: ServerResponse[] = [];
  let arrived = (): void => undefined;
  const url = await serve(
    t,
    streaming((request, response) => {
      asked.push(request);
      held.push(response);
      arrived();
    }),
  );
  const { opened, carrier } = new Connection(t, sseTransport(), url);
  const next = (): Promise<void> => new Promise(resolve => (arrived = resolve));
  await opened;
  const first = next();
  carrier.send('{"n":1}');
  carrier.send('{"n":2}');
  await first;
  carrier.send('{"n":3}');
  const second = next();
  carrier.send(`{"n":"${"x".repeat(20_000)}"}`);
  carrier.send('{"n":5}');
  held[0]?.writeHead(204).end();
  await second;
  const third = next();
  held[1]?.writeHead(204).end();
  await third;
  const fourth = next();
  held[2]?.writeHead(204).end();
  await fourth;
  assert.deepEqual(
    asked.map(({ headers, body }) => [
      headers["protogate-session"],
      headers["protogate-number"],
      headers["content-type"],
      body.length > 100 ? "long" : body,
    ]),
    [
      ["s1", "1", "application/x-ndjson", '{"n":1}\n{"n":2}'],
      ["s1", "2", "application/x-ndjson", '{"n":3}'],
      ["s1", "3", "application/x-ndjson", "long"],
      ["s1", "4", "application/x-ndjson", '{"n":5}'],
    ],
  );
  held[3]?.writeHead(204).end();
});

test("a request with frames whose response is lost is repeated with its number", async t => {
  const taken: unknown[] = [];
  const failures: ((response: ServerResponse) => void)[] = [
    response => response.destroy(),
    response => response.writeHead(502, { "content-type": "text/html" }).end("<p>Bad gateway"),
    response => response.writeHead(429).end(),
  ];
  let both = (): void => undefined;
  const done = new Promise<void>(resolve => (both = resolve));
  const url = await serve(
    t,
    streaming(({ headers, body }, response) => {
      taken.push([headers["protogate-number"], body]);
      const failure = failures.shift();
      if (failure !== undefined) failure(response);
      else response.writeHead(204).end();
      if (taken.length === 5) both();
    }),
  );
  const { opened, carrier } = new Connection(t, sseTransport(), url);
  await opened;
  carrier.send("1");
  await new Promise(resolve => setImmediate(resolve));
  carrier.send("2");
  await done;
  assert.deepEqual(taken, [...Array(4).fill(["1", "1"]), ["2", "2"]]);
});

test("frames that are too large for the gateway only together are sent apart, under the same number", async t => {
  const taken: unknown[] = [];
  let all = (): void => undefined;
  const done = new Promise<void>(resolve => (all = resolve));
  const url = await serve(
    t,
    streaming(({ headers, body }, response) => {
      taken.push([headers["protogate-number"], body]);
      if (body.length > 5) json(response, { reason: "BODY_TOO_LARGE" }, 413);
      else response.writeHead(204).end();
      if (body === "ddd") all();
    }),
  );
  const { opened, carrier } = new Connection(t, sseTransport(), url);
  await opened;
  for (const text of ["a", "b", "c", "ddd"]) carrier.send(text);
  await done;
  assert.deepEqual(taken, [
    ["1", "a\nb\nc\nddd"],
    ["1", "a\nb"],
    ["2", "c"],
    ["3", "ddd"],
  ]);
});

test("a session that the gateway does not know any more ends the connection of its client", async t => {
  const url = await serve(
    t,
    streaming((_, response) => json(response, { reason: "SESSION_NOT_FOUND" }, 404)),
  );
  const { opened, closed, carrier } = new Connection(t, sseTransport(), url);
  await opened;
  carrier.send("1");
  assert.deepEqual(await closed, { code: 1006, reason: '{"reason":"SESSION_NOT_FOUND"}' });
});

test("a frame that is too large for the gateway closes with the code of a WebSocket", async t => {
  const url = await serve(
    t,
    streaming((_, response) => json(response, { reason: "BODY_TOO_LARGE" }, 413)),
  );
  const { opened, closed, carrier } = new Connection(t, sseTransport(), url);
  await opened;
  carrier.send("1");
  assert.equal((await closed).code, 1009);
});

test("frames arrive by polls, each once, also where a response was lost or frames were sent again", async t => {
  const asked: unknown[] = [];
  const frame = (n: number) => ({ type: "f", n });
  const responses: ((response: ServerResponse) => void)[] = [
    response => json(response, { from: 1, frames: [frame(1), frame(2)] }),
    response => response.destroy(),
    response => json(response, { from: 2, frames: [frame(2), frame(3)] }),
    response => response.writeHead(504).end(),
    response => json(response, { from: 4, frames: [] }),
    response =>
      json(response, { from: 4, frames: [frame(4), null, frame(6)], close: { code: 1001, reason: "" } }),
  ];
  const url = await serve(t, ({ method, headers }, response) => {
    asked.push([method, headers["protogate-session"], headers["protogate-received"]]);
    if (method === "POST") json(response, { session: "s1" });
    else responses.shift()?.(response);
  });
  const connection = new Connection(t, pollTransport(), url);
  assert.deepEqual(await connection.closed, { code: 1001, reason: "" });
  assert.deepEqual(connection.frames, [1, 2, 3, 4, 6].map(frame));
  assert.deepEqual(asked, [
    ["POST", undefined, undefined],
    ["GET", "s1", "0"],
    ["GET", "s1", "2"],
    ["GET", "s1", "2"],
    ["GET", "s1", "3"],
    ["GET", "s1", "3"],
    ["GET", "s1", "3"],
  ]);
});

test("a poll that skips frames ends the connection, so that the client resumes", async t => {
  const url = await serve(t, ({ method }, response) =>
    json(response, method === "POST" ? { session: "s1" } : { from: 2, frames: [{ type: "f" }] }),
  );
  const connection = new Connection(t, pollTransport(), url);
  assert.deepEqual(await connection.closed, { code: 1006, reason: "frame 1 is missing" });
  assert.deepEqual(connection.frames, []);
});

for (const transport of [sseTransport(), pollTransport()]) {
  test(`a gateway that refuses a client by ${transport.name} closes with the codes of a WebSocket`, async t => {
    const refusals: [number, object | string, object, { code: number; reason: string }][] = [
      [401, { reason: "TOKEN_EXPIRED" }, {}, { code: 4401, reason: '{"reason":"TOKEN_EXPIRED"}' }],
      [
        503,
        { reason: "SHUTTING_DOWN" },
        { "retry-after": "7" },
        { code: 4503, reason: '{"reason":"SHUTTING_DOWN","retry_after":7}' },
      ],
      // Not served here: no decision about this client.
      [404, { reason: "ROUTE_NOT_FOUND" }, {}, { code: 1006, reason: '{"reason":"ROUTE_NOT_FOUND"}' }],
      // A proxy's, whose decisions are about the network.
      [403, "<p>Blocked", { "content-type": "text/html" }, { code: 1006, reason: "status 403, text/html" }],
      [200, "<p>Log in", { "content-type": "text/html" }, { code: 1006, reason: "status 200, text/html" }],
    ];
    for (const [status, body, headers, expected] of refusals) {
      const url = await serve(t, (_, response) =>
        typeof body === "string"
          ? void response.writeHead(status, { ...headers }).end(body)
          : json(response, body, status, headers),
      );
      assert.deepEqual(await new Connection(t, transport, url).closed, expected);
    }
  });

  test(`a response without a session opens none by ${transport.name}`, async t => {
    const url = await serve(t, (_, response) => json(response, {}));
    assert.equal((await new Connection(t, transport, url).closed).code, 1006);
  });

  test(`a client by ${transport.name} that closes deletes its session`, async t => {
    const asked: Request[] = [];
    let left = (): void => undefined;
    const leaves = new Promise<void>(resolve => (left = resolve));
    const url = await serve(t, (request, response) => {
      asked.push(request);
      const { method, headers } = request;
      if (method === "DELETE") {
        response.writeHead(204).end();
        left();
      } else if (headers.accept === "text/event-stream") openStream(response);
      else if (method === "POST") json(response, { session: "s1" });
    });
    const { opened, carrier } = new Connection(t, transport, url);
    await opened;
    carrier.close();
    await leaves;
    assert.equal(asked.at(-1)?.headers["protogate-session"], "s1");
  });

  test(`a redirect does not take the secret of a session by ${transport.name} elsewhere`, async t => {
    const elsewhere: Request[] = [];
    const other = await serve(t, (request, response) => {
      elsewhere.push(request);
      response.end();
    });
    const url = await serve(t, ({ headers }, response) => {
      if (headers["protogate-session"] !== undefined)
        response.writeHead(307, { location: other.replace("ws", "http") }).end();
      else if (headers.accept === "text/event-stream") openStream(response);
      else json(response, { session: "s1" });
    });
    const { opened, closed, carrier } = new Connection(t, transport, url);
    await opened;
    carrier.send("1");
    assert.equal((await closed).code, 1006);
    assert.deepEqual(elsewhere, []);
  });
}

test("requests of a session have signals of their own, at which nothing gathers", async t => {
  const { fetch } = globalThis;
  const signals: unknown[] = [];
  t.mock.method(globalThis, "fetch", (url: string, init: RequestInit) => {
    if (init.method === "GET") signals.push(init.signal);
    return fetch(url, init);
  });
  let sent = 0;
  const url = await serve(t, (request, response) => {
    if (request.method === "POST") json(response, { session: "s1" });
    else if (request.method === "DELETE") response.writeHead(204).end();
    else if (sent === 20) json(response, { from: 21, frames: [], close: { code: 1000, reason: "" } });
    else json(response, { from: ++sent, frames: [{ type: "pong" }] });
  });
  const connection = new Connection(t, pollTransport(), url);
  await connection.closed;
  assert.equal(connection.frames.length, 20);
  assert.equal(new Set(signals).size, 21);
});
