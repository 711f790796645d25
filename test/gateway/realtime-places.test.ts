import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type ClientOptions, WebSocket } from "ws";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { engineUnderTest } from "../engine.js";

/** A gateway with a listener for sockets or without. */
async function serve(t: TestContext, listener: boolean, yaml: string): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const file = join(folder, "gateway.yaml");
  const own = listener ? ", realtime: { address: 127.0.0.1:0 }" : "";
  const address = `http: { address: 127.0.0.1:0, engine: ${engineUnderTest()} }`;
  writeFileSync(file, `listeners: { ${address}${own}, admin: { address: 127.0.0.1:0 } }\n${yaml}`);
  const gateway = await startGateway(file, { env: {}, logTo: { write: () => undefined } });
  t.after(async () => {
    await gateway.close();
    rmSync(folder, { recursive: true });
  });
  return gateway;
}

/** The status of an upgrade. */
function upgraded(port: number, path: string, options: ClientOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
    socket.on("open", () => {
      socket.terminate();
      resolve(101);
    });
    socket.on("unexpected-response", (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
    socket.on("error", reject);
  });
}

function statusOf(port: number, method: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const request = http.request({ port, host: "127.0.0.1", method, path, headers, agent: false }, response =>
      resolve(response.resume().statusCode ?? 0),
    );
    request.on("error", reject);
    request.end(method === "POST" ? '{"room_id":"r","from":"a","message":"m"}' : undefined);
  });
}

const rest = [
  ["GET", "/rooms"],
  ["POST", "/send"],
] as const;

const drain = "server: { drain: 100ms }\n";

describe(`listeners and paths of rooms and sockets (${engineUnderTest()})`, () => {
  test("a listener for sockets serves them at /ws, and nothing is served where it is not written", async t => {
    const { httpPort, realtimePort } = await serve(t, true, `realtime: {}\n${drain}`);
    assert.equal(await upgraded(realtimePort, "/ws"), 101);
    for (const path of ["/ws", "/"]) assert.equal(await upgraded(httpPort, path), 404, path);
    for (const port of [httpPort, realtimePort])
      for (const [method, path] of rest)
        for (const prefix of ["", "/chat", "/ws"])
          assert.equal(await statusOf(port, method, prefix + path), 404, prefix + path);
  });

  test("the HTTP listener serves sockets where the path is written, and needs no other listener", async t => {
    const { httpPort, realtimePort } = await serve(t, false, `realtime: { path: /live }\n${drain}`);
    assert.equal(realtimePort, 0);
    assert.equal(await upgraded(httpPort, "/live"), 101);
    assert.equal(await upgraded(httpPort, "/ws"), 404);
    assert.equal(await statusOf(httpPort, "GET", "/live"), 426);
    assert.equal(await statusOf(httpPort, "GET", "/rooms"), 404);
  });

  for (const root of ["/", '""']) {
    test(`sockets are opened at the root, written as ${root}, beside the REST API`, async t => {
      const yaml = `realtime: { path: ${root}, rest: ${root} }\n${drain}`;
      const { httpPort, realtimePort } = await serve(t, true, yaml);
      for (const port of [httpPort, realtimePort]) {
        assert.equal(await upgraded(port, ""), 101);
        for (const [method, path] of rest) assert.equal(await statusOf(port, method, path), 200, path);
      }
    });
  }

  test("the REST API is served below its prefix on each listener", async t => {
    const { httpPort, realtimePort } = await serve(t, true, `realtime: { rest: /chat }\n${drain}`);
    for (const port of [httpPort, realtimePort])
      for (const [method, path] of rest) {
        assert.equal(await statusOf(port, method, `/chat${path}`), 200);
        assert.equal(await statusOf(port, method, path), 404);
      }
  });

  test("policies on the path of sockets hold on a listener that has them alone", async t => {
    const { realtimePort } = await serve(
      t,
      true,
      `auth: { policies: [{ match: { route: /ws }, deny: true }] }\nrealtime: {}\n${drain}`,
    );
    assert.equal(await upgraded(realtimePort, "/ws"), 403);
  });

  test("a Host header that is not a host, or two of them, open no socket", async t => {
    const { httpPort, realtimePort } = await serve(t, true, `realtime: { path: /ws }\n${drain}`);
    for (const port of [httpPort, realtimePort])
      for (const host of ["a/b", "a b", "user@a"])
        assert.equal(await upgraded(port, "/ws", { headers: { host } }), 400, host);
  });

  test("by REST rooms are what realtime.rooms says, and a key sends a message once", async t => {
    const { httpPort } = await serve(
      t,
      false,
      `realtime: { path: /ws, rest: /chat, rooms: [{ match: "news-*", publish: server }, { match: "dm-*" }] }\n${drain}`,
    );
    const post = async (path: string, body: string) => {
      const init = { method: "POST", headers: { "content-type": "application/json" }, body };
      const response = await fetch(`http://127.0.0.1:${httpPort}/chat${path}`, init);
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    };
    assert.equal((await post("/send", '{"room_id":"r","from":"a","message":"m"}')).status, 404);
    assert.equal((await post("/send", '{"room_id":"news-1","from":"a","message":"m"}')).status, 403);
    const sent = '{"room_id":"dm-1","from":"a","event":"e","data":{"id":1},"key":"k"}';
    const first = await post("/send", sent);
    assert.deepEqual([first.json.seq, first.json.event, first.json.data], [1, "e", { id: 1 }]);
    assert.deepEqual((await post("/send", sent)).json, { ...first.json, duplicate: true });
    const passing = await post("/send", '{"room_id":"dm-1","from":"a","event":"typing","ephemeral":true}');
    const expected = { type: "receive-message", room_id: "dm-1", from: "a", event: "typing" };
    assert.deepEqual(passing.json, expected);
    await post("/send", '{"room_id":"dm-1","from":"a","message":"m"}');
    const page = await post("/receive", '{"room_id":"dm-1","before":2,"limit":5}');
    assert.deepEqual(
      (page.json.messages as { seq: number }[]).map(({ seq }) => seq),
      [1],
    );
  });

  test("a socket of realtime.rooms: false is for calls alone", async t => {
    const { httpPort, adminPort } = await serve(
      t,
      false,
      `descriptors: [{ protos: ${JSON.stringify(join(import.meta.dirname, "../../protos/demo"))} }]
upstreams: { chat: { targets: ["127.0.0.1:1"] } }
services: [{ service: chat.v1.Rooms, upstream: chat }]
realtime: { path: /ws, rooms: false, calls: [chat.v1.Rooms/GetHistory] }\n${drain}`,
    );
    const socket = new WebSocket(`ws://127.0.0.1:${httpPort}/ws`);
    const ask = (frame: object): Promise<{ type: string; reason: string }> =>
      new Promise((resolve, reject) => {
        socket.once("message", data => resolve(JSON.parse(String(data))));
        socket.once("error", reject);
        socket.send(JSON.stringify(frame));
      });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    for (const frame of [
      { type: "join-room", room_id: "r", from: "a", id: 1 },
      { type: "send-message", room_id: "r", from: "a", message: "m", id: 1 },
      { type: "presence", room_id: "r", id: 1 },
    ])
      assert.equal((await ask(frame)).reason, "ROUTE_NOT_FOUND", frame.type);
    const call = { type: "call", id: 1, method: "chat.v1.Rooms/Send", body: {} };
    assert.equal((await ask(call)).reason, "METHOD_NOT_CALLABLE");
    assert.equal(await statusOf(adminPort, "GET", "/realtime/rooms"), 404);
    socket.terminate();
  });
});

test("behind a trusted proxy that names the host in X-Forwarded-Host alone, pages of that host open sockets on every listener", async t => {
  const realtime = "realtime: { path: /ws, auth: none }\n";
  const trusting = await serve(t, true, `${realtime}http: { forwarded: { trusted_hops: 1 } }\n${drain}`);
  const other = await serve(t, true, `${realtime}${drain}`);
  const opens = async (
    gateway: Gateway,
    forwarded: string,
    origin = "https://app.example.com",
  ): Promise<number[]> => {
    const headers = {
      host: "chat.internal:8080",
      "x-forwarded-host": forwarded,
      "x-forwarded-proto": "https",
    };
    const ports = [gateway.httpPort, gateway.realtimePort];
    return Promise.all(ports.map(port => upgraded(port, "/ws", { headers, origin })));
  };
  assert.deepEqual(await opens(trusting, "app.example.com"), [101, 101]);
  // What stands further left is the client's own claim.
  assert.deepEqual(await opens(trusting, "evil.com, app.example.com"), [101, 101]);
  assert.deepEqual(await opens(trusting, "app.example.com, evil.com"), [403, 403]);
  assert.deepEqual(await opens(trusting, "app.example.com", "https://evil.com"), [403, 403]);
  assert.deepEqual(await opens(other, "app.example.com"), [403, 403]);
});
