import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { type Answer, send, startTestGateway, type TestGateway } from "./harness.js";

const secret = "a secret of at least thirty-two bytes";

interface Opened {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly socket: WebSocket;
}

async function open(port: number, headers: Record<string, string>): Promise<Opened> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers });
  socket.on("error", () => {});
  const answered = new Promise<IncomingMessage>(resolve => {
    socket.once("unexpected-response", (_, response) => resolve(response));
    socket.once("upgrade", resolve);
  });
  const { statusCode = 0, headers: replied } = await answered;
  if (statusCode === 101) {
    if (socket.readyState !== WebSocket.OPEN) await once(socket, "open");
  } else socket.terminate();
  return { status: statusCode, headers: replied, socket };
}

describe(`limits of sockets and of their REST API for rooms (${engineUnderTest()})`, () => {
  let gateway: TestGateway;
  const sockets: WebSocket[] = [];
  const bearer = async (sub: string): Promise<Record<string, string>> => ({
    authorization: `Bearer ${await signShared(secret, { sub })}`,
  });
  const start = async (realtime: string, limits: string): Promise<void> => {
    gateway = await startTestGateway(
      `
auth:
  default: [users]
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
rate_limits: { ${limits} }
http: { forwarded: { trusted_hops: 1 }, cors: { origins: ["https://shop.example.com"] } }
realtime: { path: /ws, rest: /chat, origins: [https://app.example.com], ${realtime} }
server: { drain: 100ms }
`,
      {},
    );
  };
  const sample = async (name: string): Promise<number> => {
    const text = await (await fetch(`${gateway.admin}/metrics`)).text();
    const line = text.split("\n").find(each => each.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length + 1));
  };
  const ports = (): [string, number, string][] => [
    ["its own port", gateway.realtimePort, "/chat"],
    ["the HTTP port", gateway.httpPort, "/chat"],
  ];
  const post = async (port: number, path: string, headers: Record<string, string>): Promise<Answer> =>
    send(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ room_id: "r", message: "m" }),
    });

  describe("limits of sockets and rooms by address", () => {
    before(() => start("rate_limit: attempts", "attempts: { requests: 3, per: 1h, key: ip }"));
    after(() => gateway.close());

    test("a flood of bad tokens over WebSockets is limited by address, and each attempt counts once", async () => {
      for (const [name, port] of ports()) {
        const headers = { authorization: "Bearer bad", "x-forwarded-for": `192.0.2.${name.length}` };
        const attempts: Opened[] = [];
        for (let i = 0; i < 4; i++) attempts.push(await open(port, headers));
        assert.deepEqual(
          attempts.map(({ status }) => status),
          [401, 401, 401, 429],
          name,
        );
        const [first, , , last] = attempts;
        assert.ok(Number(last?.headers["retry-after"]) > 0, name);
        assert.match(String(last?.headers.ratelimit), /"attempts";r=0/, name);
        assert.match(String(first?.headers.ratelimit), /"attempts";r=2/, name);
      }
      assert.equal(
        await sample('protogate_rate_limit_decisions_total{limit="attempts",decision="admitted"}'),
        6,
      );
      assert.equal(await sample('protogate_ws_upgrades_total{result="rate_limited"}'), 2);
    });

    test("an accepted WebSocket counts once in a limit by address", async () => {
      for (const [name, port] of ports()) {
        const headers = { ...(await bearer("ann")), "x-forwarded-for": `198.51.100.${name.length}` };
        for (let i = 0; i < 3; i++) {
          const { status, socket } = await open(port, headers);
          assert.equal(status, 101, name);
          socket.close();
        }
        assert.equal((await open(port, headers)).status, 429, name);
      }
    });

    test("the REST API for rooms is under the same limit by address", async () => {
      for (const [name, port, prefix] of ports()) {
        const headers = { ...(await bearer("ann")), "x-forwarded-for": `203.0.113.${name.length}` };
        const answers: Answer[] = [];
        for (let i = 0; i < 4; i++) answers.push(await post(port, `${prefix}/send`, headers));
        assert.deepEqual(
          answers.map(({ status }) => status),
          [200, 200, 200, 429],
          name,
        );
        assert.match(answers[3]?.headers.get("ratelimit") ?? "", /"attempts";r=0/, name);
        assert.ok(Number(answers[3]?.headers.get("retry-after")) > 0, name);
        assert.match(answers[3]?.json.error, /too many requests/, name);
      }
    });
  });

  describe("limits of messages by sockets and REST", () => {
    before(() => start("limits: { messages_per_second: 1, burst: 3 }", ""));
    after(() => gateway.close());

    test("a sender by REST is limited as a socket is, on all ports together", async () => {
      const headers = await bearer("ann");
      const statuses: number[] = [];
      let refused: Answer | undefined;
      for (let i = 0; refused === undefined; i++) {
        const [, port, prefix] = ports()[i % 2] as [string, number, string];
        const answer = await post(port, `${prefix}/send`, headers);
        statuses.push(answer.status);
        if (answer.status !== 200) refused = answer;
      }
      assert.equal(refused.status, 429);
      assert.ok(statuses.length > 3);
      assert.equal(refused.headers.get("retry-after"), "1");
      assert.match(refused.headers.get("ratelimit-policy") ?? "", /^"messages";q=3;w=3$/);
      assert.match(refused.headers.get("ratelimit") ?? "", /^"messages";r=0;t=1$/);
      const [, port] = ports()[0] as [string, number, string];
      assert.equal((await post(port, "/chat/send", await bearer("bob"))).status, 200);
    });
  });

  describe("limits of concurrent sockets", () => {
    before(() => start("rate_limit: places", "places: { concurrency: 1, key: subject }"));
    after(async () => {
      for (const socket of sockets) socket.terminate();
      await gateway.close();
    });

    test("a socket holds its permit until it ends, whichever port it came by", async () => {
      for (const [name, port] of ports()) {
        const headers = await bearer(name);
        const { status, socket } = await open(port, headers);
        assert.equal(status, 101, name);
        sockets.push(socket);
        let closed = "open";
        socket.once("close", code => {
          closed = `closed with ${code}`;
        });
        for (const [second, other] of ports()) {
          const refused = await open(other, headers);
          assert.equal(refused.status, 429, `${name}, then ${second}, the first ${closed}`);
        }
        socket.close();
        await once(socket, "close");
        for (;;) {
          const next = await open(port, headers);
          if (next.status !== 101) continue;
          next.socket.close();
          await once(next.socket, "close");
          break;
        }
      }
    });
  });

  describe("policies on routes for sockets", () => {
    before(async () => {
      gateway = await startTestGateway(
        `
auth:
  default: [users]
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
  policies:
    - { match: { route: "/ws" }, require: { scopes: [chat] } }
    - { match: { route: "/chat/**" }, require: { scopes: [rest] } }
realtime: { path: /ws, rest: /chat }
server: { drain: 100ms }
`,
        {},
      );
    });
    after(() => gateway.close());

    test("policies on routes hold for sockets on every port", async () => {
      const scoped = async (scope: string): Promise<Record<string, string>> => ({
        authorization: `Bearer ${await signShared(secret, { scope })}`,
      });
      for (const [name, port, prefix] of ports()) {
        assert.equal((await open(port, await scoped("rest"))).status, 403, name);
        const { status, socket } = await open(port, await scoped("chat"));
        assert.equal(status, 101, name);
        socket.terminate();
        const url = `http://127.0.0.1:${port}${prefix}/rooms`;
        assert.equal((await send(url, { headers: await scoped("chat") })).status, 403, name);
        assert.equal((await send(url, { headers: await scoped("rest") })).status, 200, name);
        assert.equal((await post(port, `${prefix}/send`, await scoped("chat"))).status, 403, name);
      }
    });
  });

  describe("responses of the realtime port", () => {
    before(() => start("sent_at: seconds", ""));
    after(() => gateway.close());

    test("responses of the realtime port are as those of the HTTP port, for pages that may open sockets", async () => {
      const headers = { ...(await bearer("ann")), origin: "https://app.example.com", "x-request-id": "r1" };
      const url = `http://127.0.0.1:${gateway.realtimePort}`;
      for (const [path, status] of [
        ["/chat/rooms", 200],
        ["/nowhere", 404],
        ["/ws", 426],
      ] as const) {
        const answer = await send(url + path, { headers });
        assert.equal(answer.status, status);
        assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example.com", path);
        assert.equal(answer.headers.get("access-control-allow-credentials"), "true", path);
        assert.equal(answer.headers.get("vary"), "Origin", path);
        assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
        assert.equal(answer.headers.get("x-request-id"), "r1", path);
        const line = await gateway.logged(each => each.path === path && each.request_id === "r1");
        assert.equal(line.status, status);
      }
      assert.equal((await send(`${url}/nowhere`, { headers })).json.error, "no route for /nowhere");
      assert.equal(
        (await send(`${url}/chat/rooms`, { method: "POST", headers })).headers.get("allow"),
        "GET, HEAD, OPTIONS",
      );
      const other = await send(`${url}/chat/rooms`, {
        headers: { ...headers, origin: "https://shop.example.com" },
      });
      assert.equal(other.headers.get("access-control-allow-origin"), null);
      const sampled =
        'protogate_http_requests_total{route="/chat/rooms",method="GET",code="200",grpc_code="OK",service="realtime"}';
      assert.equal(await sample(sampled), 2);
    });

    test("the realtime port responds to CORS preflights", async () => {
      const answer = await send(`http://127.0.0.1:${gateway.realtimePort}/chat/send`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example.com", "access-control-request-method": "POST" },
      });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers.get("access-control-allow-methods"), "POST");
    });

    test("the realtime port refuses content types that any page could send", async () => {
      for (const [name, port, prefix] of ports()) {
        const headers = { ...(await bearer("ann")), "content-type": "text/plain" };
        assert.equal((await post(port, `${prefix}/send`, headers)).status, 415, name);
      }
    });

    test("a refused socket is counted once as a request and logged once", async () => {
      for (const [name, port] of ports()) {
        const sampled =
          'protogate_http_requests_total{route="/ws",method="GET",code="401",grpc_code="UNAUTHENTICATED",service="realtime"}';
        const before = await sample(sampled);
        await open(port, { "x-request-id": name.replaceAll(" ", "-") });
        const fits = (line: Record<string, unknown>): boolean =>
          line.request_id === name.replaceAll(" ", "-");
        const { status, route, reason } = await gateway.logged(fits);
        assert.deepEqual([status, route, reason], [401, "/ws", "CREDENTIALS_MISSING"]);
        assert.equal((await sample(sampled)) - before, 1, name);
        assert.equal(gateway.log.filter(fits).length, 1, name);
      }
    });
  });
});
