import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WebSocket } from "ws";
import { Code } from "../../../src/status/code.js";
import { Span, SpanKind } from "../../../src/telemetry/tracing/span.js";
import { Tracer } from "../../../src/telemetry/tracing/tracer.js";
import { attemptsOf } from "../../../src/upstream/attempt-spans.js";
import { WireWriter } from "../../../src/wire/writer.js";
import { signer } from "../../auth/tokens.js";
import { echoProto } from "../../gateway/echo.js";
import { echo, send, startBackend, startTestGateway } from "../../gateway/harness.js";
import { root } from "../../node-script.js";
import { type ReceivedSpan, startCollector } from "./collector.js";

function named(all: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = all.find(span => span.name === name);
  assert.ok(found !== undefined, `${name} is not among ${all.map(each => each.name).join(", ")}`);
  return found;
}

/** The spans whose parent is another one, with the ids of its ancestors left out. */
function below(all: readonly ReceivedSpan[], parent: ReceivedSpan): string[] {
  return all.filter(({ parentId }) => parentId === parent.spanId).map(({ kind, name }) => `${kind} ${name}`);
}

/** A CheckResponse that allows the request of a user. */
function allowed(user: string): Uint8Array {
  const message = (...fields: readonly [number, Uint8Array][]): Uint8Array => {
    const writer = new WireWriter();
    for (const [number, value] of fields) writer.field(number, value);
    return writer.finish();
  };
  const header = message([1, Buffer.from("x-user-id")], [2, Buffer.from(user)]);
  return message([3, message([2, message([1, header])])]);
}

describe("spans below the guard and of sockets", async () => {
  const collector = await startCollector();
  const key = await signer("k1");
  const backend = await startBackend({
    "/test.v1.Echo/Get": echo,
    "/envoy.service.auth.v3.Authorization/Check": (_call, reply) =>
      reply(null, Buffer.from(allowed("alice"))),
    "/chat.v1.Rooms/Join": echo,
    "/chat.v1.Rooms/Send": (_call, reply) => reply(null, Buffer.alloc(0)),
    "/chat.v1.Rooms/Leave": echo,
    "/chat.v1.Rooms/GetHistory": (_call, reply) => reply(null, Buffer.alloc(0)),
  });
  const seen = new Map<string, IncomingHttpHeaders>();
  const services = createServer((request, response) => {
    seen.set(request.url ?? "", request.headers);
    response.setHeader("x-user-id", "alice");
    if (request.url === "/introspect") response.end('{"active":true,"sub":"alice"}');
    else if (request.url === "/keys") response.end(JSON.stringify({ keys: [key.jwk] }));
    else response.end();
  });
  services.listen(0, "127.0.0.1");
  await once(services, "listening");
  const others = `http://127.0.0.1:${(services.address() as AddressInfo).port}`;
  after(async () => {
    services.close();
    services.closeAllConnections();
    await backend.close();
    await collector.close();
  });

  const start = (provider: string, more = "") =>
    startTestGateway(
      `
descriptors: [{ protos: ./protos }, { protos: ${join(root, "protos/demo")} }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services:
  - { service: test.v1.Echo, upstream: echo, auth: [one] }
  - { service: chat.v1.Rooms, upstream: echo }
auth: { providers: { one: ${provider} } }
telemetry: { log: { level: debug }, tracing: { otlp: "${collector.url}", sample: 1 } }
${more}`,
      { "protos/echo.proto": echoProto },
    );

  const guards: readonly [name: string, provider: string, child: string, path?: string][] = [
    ["ext_authz", "{ type: ext_authz, upstream: echo }", "CLIENT envoy.service.auth.v3.Authorization/Check"],
    ["forward_auth", `{ type: forward_auth, url: ${others}/decide }`, "CLIENT GET", "/decide"],
    [
      "introspection",
      `{ type: introspection, url: ${others}/introspect, client_id: a, client_secret: b }`,
      "CLIENT POST",
      "/introspect",
    ],
    ["jwt", `{ type: jwt, jwks: ${others}/keys }`, "INTERNAL keys"],
  ];
  for (const [name, provider, child, path] of guards)
    it(`the request of the provider ${name} is a span below the guard's, and the service gets its id`, async () => {
      const gateway = await start(provider);
      const authorization = `Bearer ${name === "jwt" ? await key.sign() : "token"}`;
      const answer = await send(`${gateway.url}/v1/items/7`, { headers: { authorization } });
      assert.equal(answer.status, 200, answer.text);
      await gateway.close();
      const all = collector.spans.splice(0);
      const guard = named(all, "guard");
      assert.deepEqual(below(all, guard), [child]);
      const asked = all.find(({ parentId }) => parentId === guard.spanId);
      const sent =
        path === undefined
          ? backend.calls.find(call => call.path.endsWith("/Check"))?.metadata.get("traceparent")[0]
          : seen.get(path)?.traceparent;
      if (name !== "jwt") assert.equal(sent, `00-${guard.traceId}-${asked?.spanId}-01`);
      if (path !== undefined) assert.equal(asked?.attributes["http.response.status_code"], 200);
    });

  it("a log line about refused credentials and that of an upgrade have the trace id", async () => {
    const gateway = await start(
      `{ type: jwt, jwks: ${others}/keys }`,
      "realtime: { auth: [one], path: /ws, origins: ['*'] }",
    );
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    const headers = { authorization: "Bearer nonsense", traceparent };
    assert.equal((await send(`${gateway.url}/v1/items/7`, { headers })).status, 401);
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`, { headers });
    await once(socket, "error");
    const refused = await gateway.logged(line => line.provider === "one" && line.level === "debug");
    const upgrade = await gateway.logged(line => line.path === "/ws");
    assert.deepEqual([refused.trace_id, upgrade.trace_id], Array(2).fill(traceparent.split("-")[1]));
    await gateway.close();
    assert.deepEqual(collector.spans, []);
  });

  it("a message over a socket is one trace of its event, its publishing and one fan-out; upgrades, joins and calls have theirs", async () => {
    const gateway = await start(
      "{ type: ext_authz, upstream: echo }",
      `
realtime:
  auth: none
  path: /ws
  origins: ["*"]
  events:
    join: { upstream: echo, method: chat.v1.Rooms/Join }
    message: { upstream: echo, method: chat.v1.Rooms/Send }
  calls: [chat.v1.Rooms/GetHistory]
`,
    );
    const sockets = await Promise.all(
      ["ada", "bob"].map(async from => {
        const socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`);
        await once(socket, "open");
        const joined = responseTo(socket, 1);
        socket.send(JSON.stringify({ type: "join-room", room_id: "general", from, id: 1 }));
        await joined;
        return socket;
      }),
    );
    const [first] = sockets as [WebSocket, WebSocket];
    const sent = responseTo(first, 2);
    first.send(JSON.stringify({ type: "send-message", room_id: "general", message: "hi", id: 2 }));
    await sent;
    const called = responseTo(first, 3);
    first.send(JSON.stringify({ type: "call", method: "chat.v1.Rooms/GetHistory", id: 3, body: {} }));
    await called;
    for (const socket of sockets) socket.terminate();
    await gateway.close();
    const all = collector.spans.splice(0);
    const message = named(all, "send-message");
    const ofMessage = all.filter(({ traceId }) => traceId === message.traceId);
    const event = named(ofMessage, "event message");
    const publish = named(ofMessage, "publish");
    const delivery = named(ofMessage, "fan-out");
    assert.deepEqual(below(ofMessage, message), ["INTERNAL event message", "PRODUCER publish"]);
    assert.deepEqual(below(ofMessage, event), ["CLIENT chat.v1.Rooms/Send"]);
    assert.deepEqual(below(ofMessage, publish), ["CONSUMER fan-out"]);
    assert.equal(ofMessage.length, 5);
    assert.equal(delivery.attributes["messaging.destination.name"], "general");
    assert.equal(delivery.attributes["protogate.members"], 2);
    assert.deepEqual(below(all, named(all, "call chat.v1.Rooms/GetHistory")), [
      "CLIENT chat.v1.Rooms/GetHistory",
    ]);
    assert.equal(all.filter(({ name }) => name === "event join").length, 2);
    const upgrades = all.filter(({ name }) => name === "GET /ws");
    assert.deepEqual(
      upgrades.map(({ kind, attributes }) => [kind, attributes["http.response.status_code"]]),
      Array(2).fill(["SERVER", 101]),
    );
    const call = backend.calls.find(each => each.path === "/chat.v1.Rooms/Send");
    assert.equal(String(call?.metadata.get("traceparent")[0]).split("-")[1], message.traceId);
  });

  function responseTo(socket: WebSocket, id: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      socket.on("message", data => {
        const frame = JSON.parse(String(data)) as { readonly id?: number; readonly type: string };
        if (frame.id !== id) return;
        if (frame.type === "error") reject(new Error(String(data)));
        else resolve(frame);
      });
    });
  }
});

it("an attempt at a tRPC backend names tRPC as its system, and its code is none of gRPC's", () => {
  const spans: Buffer[] = [];
  const scope = {
    sink: { add: (bytes: Uint8Array) => spans.push(Buffer.from(bytes)) },
    traceId: "a".repeat(32),
  };
  const parent = new Span({ ...scope, tracestate: undefined }, undefined, "request", SpanKind.Server);
  const attempt = attemptsOf(parent, "/shop.Items/Get", "shop").attempt("127.0.0.1:1", 1, "trpc");
  attempt.ended({ code: Code.UNKNOWN, message: "no", origin: "business", backendCode: 4711 });
  const [bytes] = spans;
  assert.ok(bytes !== undefined);
  assert.ok(bytes.includes("rpc.system\x12\x06\n\x04trpc"));
  assert.ok(bytes.includes("protogate.backend_code") && !bytes.includes("rpc.grpc.status_code"));
});

it("traces that callers request are bounded by the second, and decided by the share where callers do not count", () => {
  let now = 0;
  const sink = { add: () => undefined } as never;
  const caller = {
    header: (name: string) =>
      name === "traceparent" ? `00-${"a".repeat(32)}-${"b".repeat(16)}-01` : undefined,
  };
  const recorded = (tracer: Tracer): number =>
    Array.from({ length: 50 }, () => tracer.server(caller)).filter(span => span !== undefined).length;
  const follow = new Tracer(sink, { sample: 0, parents: "follow", max_parents: 20 }, () => now);
  assert.equal(recorded(follow), 20);
  now += 500;
  assert.equal(recorded(follow), 10);
  now += 60_000;
  assert.equal(recorded(follow), 20);
  assert.equal(recorded(new Tracer(sink, { sample: 0, parents: "sample", max_parents: 20 }, () => now)), 0);
  const all = new Tracer(sink, { sample: 1, parents: "sample", max_parents: 20 }, () => now);
  assert.equal(recorded(all), 50);
  assert.equal(all.server(caller)?.traceId, "a".repeat(32));
});
