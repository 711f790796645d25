import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { type ClientOptions, WebSocket } from "ws";
import { type Backend, echo, send, startBackend, startTestGateway, type TestGateway } from "./harness.js";

const proto = `syntax = "proto3"; package t;
message M { string room_id = 1; string from = 2; string message = 3; }
service S { rpc Say(M) returns (M); rpc Hidden(M) returns (M); rpc Guarded(M) returns (M); }`;

const secret = "a secret of at least thirty-two bytes";

/** An HS256 token, made without the library under test. */
function token(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A socket whose frames can be awaited one after the other. */
class Client {
  readonly socket: WebSocket;
  readonly #frames: string[] = [];
  readonly #waiting: ((frame: string) => void)[] = [];

  constructor(url: string, protocols: string[] = [], options: ClientOptions = {}) {
    this.socket = new WebSocket(url, protocols, options);
    this.socket.on("message", data => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push(String(data));
      else waiting(String(data));
    });
    this.socket.on("error", () => undefined);
  }

  async open(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN) await once(this.socket, "open");
    return this;
  }

  say(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  // biome-ignore lint/suspicious/noExplicitAny: frames are what tests look at
  async next(): Promise<any> {
    const frame = this.#frames.shift();
    return JSON.parse(frame ?? (await new Promise<string>(resolve => this.#waiting.push(resolve))));
  }

  /** The status with which the upgrade was refused. */
  async refused(): Promise<number | undefined> {
    const [, response] = (await once(this.socket, "unexpected-response")) as [unknown, IncomingMessage];
    this.socket.terminate();
    return response.statusCode;
  }
}

describe("realtime behind the gateway", () => {
  let backend: Backend;
  let gateway: TestGateway;
  const clients: Client[] = [];
  const connect = (url: string, ...rest: [string[]?, ClientOptions?]): Client => {
    const client = new Client(url, ...rest);
    clients.push(client);
    return client;
  };
  const bearer = (subject: string, more = {}): ClientOptions => ({
    headers: { authorization: `Bearer ${token({ sub: subject, ...more })}` },
  });
  const ports = (): [string, number][] => [
    ["its own port", gateway.realtimePort],
    ["the HTTP port", gateway.httpPort],
  ];

  before(async () => {
    backend = await startBackend({ "/t.S/Say": echo, "/t.S/Hidden": echo, "/t.S/Guarded": echo });
    gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams: { rpc: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: t.S, upstream: rpc, bindings: [auto] }]
auth:
  default: [users]
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256] }
  policies:
    - { match: { room: "staff-*" }, require: { scopes: [staff] } }
    - { match: { route: "/t.S/Guarded" }, require: { rule: "claim.sub == request.from" } }
realtime:
  path: /ws
  rest: /chat
  origins: [https://app.example.com]
  calls: [t.S/Say, t.S/Guarded]
server: { drain: 100ms }
`,
      { "protos/t.proto": proto },
    );
  });
  after(async () => {
    for (const { socket } of clients) socket.terminate();
    await gateway.close();
    await backend.close();
  });

  test("two clients talk, one through each port, and REST shows the room", async () => {
    const [[, own], [, http]] = ports() as [[string, number], [string, number]];
    const ann = await connect(`ws://127.0.0.1:${own}/ws`, [], bearer("ann")).open();
    const bob = await connect(`ws://127.0.0.1:${http}/ws`, [], bearer("bob")).open();
    for (const client of [ann, bob]) {
      client.say({ type: "join-room", room_id: "general", id: 1 });
      let frame = await client.next();
      while (frame.type !== "ack") frame = await client.next();
    }
    assert.deepEqual(await ann.next(), { type: "join-room", room_id: "general", from: "bob" });
    bob.say({ type: "send-message", room_id: "general", message: "hi" });
    for (const client of [ann, bob]) {
      const { type, from, message, seq } = await client.next();
      assert.deepEqual(
        { type, from, message, seq },
        { type: "receive-message", from: "bob", message: "hi", seq: 1 },
      );
    }
    const headers = bearer("ann").headers as Record<string, string>;
    assert.deepEqual((await send(`${gateway.url}/chat/rooms`, { headers })).json, { rooms: ["general"] });
    assert.equal((await send(`${gateway.url}/chat/rooms`)).status, 401);
    const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
    assert.match(metrics, /protogate_ws_connections 2/);
    assert.doesNotMatch(metrics, /general|ann|bob/);
  });

  test("credentials are read from every location, and without them both ports refuse with an HTTP status", async () => {
    for (const [name, port] of ports()) {
      const url = `ws://127.0.0.1:${port}/ws`;
      assert.equal(await connect(url).refused(), 401, name);
      assert.equal(await connect(url, [], { headers: { authorization: "Bearer x" } }).refused(), 401, name);
      const foreign = { ...bearer("ann"), origin: "https://evil.example" };
      assert.equal(await connect(url, [], foreign).refused(), 403, name);
      const socket = await connect(url, ["bearer", token({ sub: "ann" })], {
        origin: "https://app.example.com",
      }).open();
      assert.equal(socket.socket.protocol, "bearer", name);
      socket.say({ type: "join-room", room_id: "r", from: "mallory", id: 1 });
      const { type, reason } = await socket.next();
      assert.deepEqual([type, reason], ["error", "FROM_MISMATCH"], name);
    }
  });

  test("policies hold for rooms and for calls", async () => {
    const socket = await connect(`ws://127.0.0.1:${gateway.realtimePort}/ws`, [], bearer("ann")).open();
    const ask = async (frame: object): Promise<unknown> => {
      socket.say(frame);
      const { type, reason, body } = await socket.next();
      return body ?? reason ?? type;
    };
    assert.equal(await ask({ type: "join-room", room_id: "staff-1", id: 1 }), "SCOPE_MISSING");
    const call = { type: "call", body: { from: "ann", message: "x" } };
    assert.deepEqual(await ask({ ...call, id: 2, method: "t.S/Say" }), { from: "ann", message: "x" });
    assert.equal(await ask({ ...call, id: 3, method: "t.S/Hidden" }), "METHOD_NOT_CALLABLE");
    assert.deepEqual(await ask({ ...call, id: 4, method: "t.S/Guarded" }), { from: "ann", message: "x" });
    assert.equal(
      await ask({ ...call, id: 5, method: "t.S/Guarded", body: { from: "bob" } }),
      "POLICY_DENIED",
    );
    const staff = await connect(
      `ws://127.0.0.1:${gateway.realtimePort}/ws`,
      [],
      bearer("eve", { scope: "staff" }),
    ).open();
    staff.say({ type: "join-room", room_id: "staff-1", id: 1 });
    assert.equal((await staff.next()).type, "ack");
  });

  test("sockets stay open through a reload, which changes what is allowed", async () => {
    const open = ports().map(([name, port]) => connect(`ws://127.0.0.1:${port}/ws`, [], bearer(name)).open());
    const sockets = await Promise.all(open);
    await gateway.reload();
    // What the first reload retires has had its time.
    await gateway.reload();
    for (const socket of sockets) {
      socket.say({ type: "join-room", room_id: `after ${sockets.indexOf(socket)}`, id: 1 });
      assert.equal((await socket.next()).type, "ack");
      socket.say({ type: "call", id: 2, method: "t.S/Say", body: {} });
      assert.equal((await socket.next()).type, "reply");
    }
  });

  test("on shutdown a socket gets a close code and reason, whichever port it came by", async () => {
    const other = await startTestGateway(
      "realtime: { path: /ws, auth: none }\nauth: { default: none }\nserver: { drain: 100ms }\n",
      {},
    );
    const urls = [other.realtimePort, other.httpPort].map(port => `ws://127.0.0.1:${port}/ws`);
    const sockets = await Promise.all(urls.map(url => connect(url).open()));
    await other.reload();
    const closes = Promise.all(sockets.map(({ socket }) => once(socket, "close")));
    await other.close();
    assert.deepEqual(
      (await closes).map(([code, reason]) => [code, JSON.parse(String(reason)).reason]),
      [
        [1012, "SHUTTING_DOWN"],
        [1012, "SHUTTING_DOWN"],
      ],
    );
  });
});
