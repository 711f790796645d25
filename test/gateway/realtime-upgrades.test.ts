import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const secret = "a secret of at least thirty-two bytes";

const ann = await signShared(secret, { sub: "ann" });

const handshake = {
  host: "chat.example",
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  authorization: `Bearer ${ann}`,
};

interface Head {
  readonly line?: string;
  /** Over those of a good handshake; undefined takes one away, a list makes several lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Behind the head. */
  readonly behind?: string;
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The server has ended the connection. */
  readonly closed: boolean;
}

/** What a raw request is answered; an open socket is ended at once. */
async function ask(
  port: number,
  { line = "GET /ws HTTP/1.1", headers = {}, behind = "" }: Head,
): Promise<Reply> {
  const all: Record<string, string | readonly string[] | undefined> = { ...handshake, ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map(each => `${name}: ${each}`),
  );
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`${[line, ...lines].join("\r\n")}\r\n\r\n${behind}`, "latin1");
  let text = "";
  let closed = false;
  socket.setEncoding("latin1");
  await new Promise<void>(resolve => {
    const look = (): void => {
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end >= 0 && text.length >= end + 4 + (line.startsWith("HEAD") ? 0 : length)) resolve();
    };
    socket.on("data", chunk => {
      text += chunk;
      look();
    });
    socket.on("close", () => {
      closed = true;
      resolve();
    });
  });
  if (!closed && /^connection: close/im.test(text)) {
    await once(socket, "close");
    closed = true;
  }
  socket.destroy();
  const [head = "", body = ""] = text.split("\r\n\r\n");
  const fields = head
    .split("\r\n")
    .slice(1)
    .map(each => each.split(/: ?(.*)/s).slice(0, 2) as [string, string]);
  return {
    status: Number(head.split(" ")[1] ?? 0),
    headers: Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value])),
    body,
    closed,
  };
}

describe(`requests for WebSockets (${engineUnderTest()})`, () => {
  let gateway: TestGateway;
  const ports = (): [string, number][] => [
    ["its own port", gateway.realtimePort],
    ["the HTTP port", gateway.httpPort],
  ];
  const upgrades = async (): Promise<Record<string, number>> => {
    const text = await (await fetch(`${gateway.admin}/metrics`)).text();
    const all = [...text.matchAll(/^protogate_ws_upgrades_total\{result="(\w+)"\} (\d+)$/gm)];
    return Object.fromEntries(all.map(([, result = "", count]) => [result, Number(count)]));
  };

  before(async () => {
    gateway = await startTestGateway(
      `
auth:
  default: [users, pages]
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
    pages: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
realtime:
  path: /ws
  rest: /chat
  origins: [https://app.example.com]
http: { security_headers: { x-frame-options: DENY } }
server: { drain: 100ms }
`,
      {},
    );
  });
  after(() => gateway.close());

  const cases: [string, Head, number, string, RegExp?][] = [
    ["a good one", {}, 101, "accepted"],
    [
      "names in any case, among others",
      { headers: { connection: "keep-alive, UPGRADE", upgrade: "WebSocket" } },
      101,
      "accepted",
    ],
    ["several subprotocols", { headers: { "sec-websocket-protocol": "v9, chat" } }, 101, "accepted"],
    ["no key", { headers: { "sec-websocket-key": undefined } }, 400, "malformed", /sec-websocket-key/],
    ["a short key", { headers: { "sec-websocket-key": "AAAA" } }, 400, "malformed", /sec-websocket-key/],
    [
      "a key of other letters",
      { headers: { "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAA!!==" } },
      400,
      "malformed",
      /sec-websocket-key/,
    ],
    [
      "two keys",
      { headers: { "sec-websocket-key": ["AAAAAAAAAAAAAAAAAAAAAA==", "BBBBBBBBBBBBBBBBBBBBBQ=="] } },
      400,
      "malformed",
      /one sec-websocket-key/,
    ],
    ["an old version", { headers: { "sec-websocket-version": "8" } }, 426, "malformed", /version: 13/],
    ["no version", { headers: { "sec-websocket-version": undefined } }, 426, "malformed", /version: 13/],
    ["no upgrade", { headers: { upgrade: undefined } }, 426, "malformed", /path of a WebSocket/],
    [
      "an upgrade that the connection does not list",
      { headers: { connection: "close" } },
      426,
      "malformed",
      /path of a WebSocket/,
    ],
    [
      "an upgrade to something else",
      { headers: { upgrade: "h2c" } },
      426,
      "malformed",
      /path of a WebSocket/,
    ],
    ["a body", { headers: { "content-length": "5" }, behind: "hello" }, 400, "malformed", /no body/],
    [
      "a chunked body",
      { headers: { "transfer-encoding": "chunked" }, behind: "0\r\n\r\n" },
      400,
      "malformed",
      /no body/,
    ],
    ["no credentials", { headers: { authorization: undefined } }, 401, "unauthenticated"],
    ["a page without an origin", { headers: { origin: "null" } }, 403, "origin"],
    ["a page of another origin", { headers: { origin: "https://evil.example" } }, 403, "origin"],
    [
      "a page of another origin with a cookie",
      {
        headers: {
          authorization: undefined,
          cookie: `session=${ann}`,
          origin: "https://evil.example",
        },
      },
      403,
      "origin",
    ],
    [
      "a cookie of no page",
      { headers: { authorization: undefined, cookie: `session=${ann}` } },
      101,
      "accepted",
    ],
    [
      "a cookie that a page of another site sends with a link to here",
      {
        headers: { authorization: undefined, cookie: `session=${ann}`, "sec-fetch-site": "cross-site" },
      },
      401,
      "unauthenticated",
    ],
    [
      "a Host that is none",
      { headers: { host: "a/b" } },
      400,
      "malformed",
      /Host header is not a valid host/,
    ],
    [
      "a token in the query",
      {
        line: `GET /ws?access_token=${ann} HTTP/1.1`,
        headers: { authorization: undefined },
      },
      401,
      "unauthenticated",
    ],
    ["a query", { line: "GET /ws?a=b HTTP/1.1" }, 101, "accepted"],
  ];
  for (const [what, head, status, result, message] of cases) {
    test(`${what}: ${status}, counted as ${result}`, async () => {
      for (const [name, port] of ports()) {
        const counted = await upgrades();
        const reply = await ask(port, head);
        assert.equal(reply.status, status, `${name}: ${reply.body}`);
        const now = await upgrades();
        const changed = Object.keys(now).filter(each => now[each] !== counted[each]);
        assert.deepEqual([changed, (now[result] ?? 0) - (counted[result] ?? 0)], [[result], 1], name);
        if (status === 101) continue;
        const { reason, message: text } = JSON.parse(reply.body);
        assert.match(reason, /^[A-Z_]+$/, name);
        if (message !== undefined) assert.match(text, message, name);
        assert.equal(reply.headers["x-content-type-options"], "nosniff", name);
        assert.equal(reply.headers["x-frame-options"], "DENY", name);
        assert.ok(reply.headers["x-request-id"], name);
        if (status === 401) assert.match(reply.headers["www-authenticate"] ?? "", /^Bearer/, name);
        if (/version/.test(text)) assert.equal(reply.headers["sec-websocket-version"], "13", name);
        else if (status === 426) assert.equal(reply.headers.upgrade, "websocket", name);
      }
    });
  }

  const others: [string, Head, number][] = [
    ["HEAD", { line: "HEAD /ws HTTP/1.1", headers: { upgrade: undefined, connection: undefined } }, 426],
    ["POST", { line: "POST /ws HTTP/1.1" }, 405],
    ["an unknown path", { line: "GET /wss HTTP/1.1" }, 404],
    ["a path below", { line: "GET /ws/x HTTP/1.1" }, 404],
    ["two hosts", { headers: { host: ["chat.example", "evil.example"] } }, 400],
    ["a percent-encoded path", { line: "GET /%77s HTTP/1.1" }, 404],
    ["a head above the limit", { headers: { "x-large": "x".repeat(40_000) } }, 431],
  ];
  for (const [what, head, status] of others) {
    test(`${what}: ${status}`, async () => {
      for (const [name, port] of ports()) assert.equal((await ask(port, head)).status, status, name);
    });
  }

  test("bytes behind a refused upgrade are read neither as frames nor as a request", async () => {
    for (const [name, port] of ports()) {
      const behind = "GET /chat/rooms HTTP/1.1\r\nhost: x\r\n\r\n";
      const reply = await ask(port, { headers: { origin: "null" }, behind });
      assert.ok(reply.closed, name);
      assert.ok(!/rooms|CREDENTIALS/.test(reply.body), name);
    }
  });

  test("clients that leave at once hold no permit", async () => {
    const full = await startTestGateway(
      "realtime: { path: /ws, auth: none, limits: { connections: 2 } }\nserver: { drain: 100ms }\n",
      {},
    );
    const head = Object.entries(handshake).map(([name, value]) => `${name}: ${value}\r\n`);
    try {
      for (const port of [full.realtimePort, full.httpPort]) {
        for (let i = 0; i < 10; i++) {
          const socket = connect(port, "127.0.0.1");
          socket.on("error", () => {});
          socket.end(`GET /ws HTTP/1.1\r\n${head.join("")}\r\n`, () => socket.resetAndDestroy());
          await once(socket, "close");
        }
        let status = 0;
        while (status !== 101) ({ status } = await ask(port, {}));
      }
      for (;;) {
        const text = await (await fetch(`${full.admin}/metrics`)).text();
        if (/^protogate_ws_connections 0$/m.test(text)) break;
      }
    } finally {
      await full.close();
    }
  });
});
