import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { decodeJwt, SignJWT } from "jose";
import { WebSocket } from "ws";
import { Client } from "../realtime/harness.js";
import { send } from "./http-client.js";
import { type System, startSystem } from "./system.js";

const config = resolve(import.meta.dirname, "../../config");
const examples = readdirSync(join(config, "examples")).filter(file => file.endsWith(".yaml"));

for (const file of ["gateway.yaml", ...examples.map(name => join("examples", name))]) {
  describe(`config/${file}`, () => {
    it(`config/${file} loads without a warning and becomes ready`, async () => {
      const system = await startSystem(join(config, file));
      try {
        assert.deepEqual(
          system.log().filter(line => JSON.parse(line).level === "warn"),
          [],
        );
        const ready = await send(system.adminPort, "GET", "/readyz");
        assert.equal(ready.status, 200, ready.body);
      } finally {
        await system.close();
      }
    });
  });
}

describe("config/examples/livekit.yaml, followed as its comments say", () => {
  let system: System;
  before(async () => {
    system = await startSystem(join(config, "examples/livekit.yaml"));
  });
  after(() => system.close());

  it("config/examples/livekit.yaml gives tokens for a meeting to whoever is logged in, in their own name", async () => {
    const headers = { operationID: "1" };
    const login = await system.send("POST", "/account/login", {
      headers,
      body: { account: "jdoe", password: "xxx" },
    });
    const token = String(JSON.parse(login.body).data.chatToken);
    for (const [path, canPublish] of [
      ["/meetings/standup/token", true],
      ["/meetings/standup/audience", false],
    ] as const) {
      const answer = await system.send("POST", path, { headers: { token } });
      assert.equal(answer.status, 200, answer.body);
      const { serverUrl, token: jwt } = JSON.parse(answer.body);
      assert.equal(serverUrl, "ws://127.0.0.1:7880");
      const { sub, video } = decodeJwt(jwt);
      const grants = { roomJoin: true, canPublish, canSubscribe: true, room: "standup" };
      assert.deepEqual({ sub, video }, { sub: "1001", video: grants });
      assert.equal((await system.send("POST", path)).status, 401);
    }
  });
});

describe("config/examples/rooms.yaml, followed as its comments say", () => {
  let system: System;
  before(async () => {
    system = await startSystem(join(config, "examples/rooms.yaml"));
  });
  after(() => system.close());

  it("config/examples/rooms.yaml lets nobody into a conversation without a token for it, and shows all clients the health of the backend", async () => {
    const sign = (key: string, claims: Record<string, unknown>): Promise<string> =>
      new SignJWT({ sub: "jdoe", ...claims })
        .setProtectedHeader({ alg: "HS256" })
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(key));
    const socketToken = await sign("socket-secret-that-everybody-knows", { aud: "sockets" });
    const roomToken = await sign("room-secret-that-everybody-knows", { aud: "rooms", room: ["dm-17"] });
    const url = `ws://127.0.0.1:${system.httpPort}/ws`;
    const client = new Client(new WebSocket(url, ["bearer", socketToken]));
    try {
      await client.opened;
      client.say({ type: "join-room", room_id: "dm-17", id: 1 });
      assert.equal((await client.next("error")).reason, "CREDENTIALS_MISSING");
      client.say({ type: "join-room", room_id: "dm-17", token: roomToken, id: 2 });
      assert.equal((await client.next("ack")).id, 2);
      client.say({ type: "join-room", room_id: "health-product.app.v1.BlogService", id: 3 });
      const { from, event, data } = await client.next("receive-message");
      assert.deepEqual([from, event, data], ["feed", "health", { status: "SERVING" }]);
    } finally {
      client.socket.terminate();
    }
  });
});

describe("the demo, five APIs behind one gateway", () => {
  let system: System;
  before(async () => {
    system = await startSystem(join(config, "gateway.yaml"));
  });
  after(() => system.close());

  it("the gateway of the demo serves each API at its own paths", async () => {
    const account = { login: "jdoe", password: "xxx", firstname: "John", lastname: "DOE" };
    const requests = [
      ["GET", "/v1/messages/123456?revision=2&sub.subfield=foo", 200],
      ["GET", "/v1/users/me/messages/123456", 200],
      ["POST", "/v1/messages/123456", 200, { text: "Hi!" }],
      ["GET", "/resource/v1/messages/123456", 200],
      ["POST", "/replace/v1/messages/123456", 200, { text: "Hi!" }],
      ["GET", "/v1/articles", 200],
      ["GET", "/v1/author/1/articles", 200],
      ["GET", "/product.app.v1.BlogService/ListAuthors", 200],
      ["POST", "/users", 204, account],
      ["POST", "/authenticate?j_username=jdoe&j_password=xxx", 204],
      ["GET", "/logout", 200],
      ["GET", "/rooms?fetchSize=100", 200],
      ["GET", "/messages?fetchSize=20", 200],
      ["POST", "/account/login", 200, { account: "jdoe", password: "xxx" }],
      ["GET", "/chat/rooms", 200],
      ["POST", "/chat/send", 200, { room_id: "general", from: "Ann", message: "Hello" }],
      ["POST", "/chat/receive", 200, { room_id: "general" }],
      ["GET", "/chat/rooms/general/history", 200],
    ] as const;
    for (const [method, path, status, body] of requests) {
      const answer = await system.send(method, path, { body });
      assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
    }
  });

  it("the gateway of the demo keeps passwords and cookies out of the log", async () => {
    const path = "/authenticate?j_username=nobody&j_password=hunter2";
    const answer = await system.send("POST", path, { headers: { cookie: "killrchat_session=secret7" } });
    assert.equal(answer.status, 401);
    await system.logged(/"path":"\/authenticate","status":401/);
    assert.equal(
      system.log().some(line => /hunter2|secret7/.test(line)),
      false,
    );
  });
});
