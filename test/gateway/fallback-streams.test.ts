import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { engineUnderTest } from "../engine.js";
import { ask, EventStream, framesHeaders } from "./event-stream.js";
import { startTestGateway, type TestGateway } from "./harness.js";

const transports = "path: /ws, transports: [websocket, sse]";

async function serve(t: TestContext, realtime = "", more = ""): Promise<TestGateway> {
  const section = `realtime: { ${transports}${realtime === "" ? "" : `, ${realtime}`} }\n`;
  const gateway = await startTestGateway(`${section}server: { drain: 500ms }\n${more}`, {});
  t.after(() => gateway.close());
  return gateway;
}

/** Resolves when a sample of the admin listener has that value. */
async function sampled({ admin }: TestGateway, sample: string, value: number): Promise<void> {
  for (;;) {
    const lines = (await (await fetch(`${admin}/metrics`)).text()).split("\n");
    const line = lines.find(each => each.startsWith(`${sample} `));
    if (Number(line?.slice(sample.length + 1) ?? 0) === value) return;
  }
}

const open = 'protogate_ws_fallback_connections{transport="sse"}';

describe(`rooms over server-sent events and POST (${engineUnderTest()})`, () => {
  test("a client of server-sent events and one of a WebSocket talk in a room, on both listeners", async t => {
    const { httpPort, realtimePort } = await serve(t);
    for (const port of [httpPort, realtimePort]) {
      const stream = await EventStream.open(port);
      const { headers } = stream.response;
      assert.equal(headers["content-type"], "text/event-stream");
      assert.match(String(headers["cache-control"]), /no-store/);
      assert.equal(headers["x-accel-buffering"], "no");
      const room_id = `r${port}`;
      const joined = await stream.say({ type: "join-room", room_id, from: "Ann", id: 1 });
      assert.deepEqual([joined.status, joined.text], [204, ""]);
      await stream.next({ id: 1 });
      const socket = new WebSocket(`ws://127.0.0.1:${httpPort}/ws`);
      t.after(() => socket.terminate());
      const received: Record<string, unknown>[] = [];
      socket.on("message", data => received.push(JSON.parse(String(data))));
      await new Promise(resolve => socket.once("open", resolve));
      socket.send(JSON.stringify({ type: "join-room", room_id, from: "Bob", id: 1 }));
      assert.equal((await stream.next({ type: "join-room" })).from, "Bob");
      socket.send(JSON.stringify({ type: "send-message", room_id, message: "Hello" }));
      const hello = await stream.next({ type: "receive-message" });
      assert.deepEqual([hello.from, hello.message, hello.seq], ["Bob", "Hello", 1]);
      const both = [1, 2].map(each => ({ type: "send-message", room_id, message: `m${each}`, id: each }));
      await stream.say(...both);
      await stream.next({ id: 2 });
      await new Promise<void>(resolve => {
        const look = (): void => {
          if (received.some(({ message }) => message === "m2")) resolve();
        };
        socket.on("message", look);
        look();
      });
      stream.break();
    }
  });

  test("a message whose JSON has line ends arrives whole", async t => {
    const { httpPort } = await serve(t);
    const stream = await EventStream.open(httpPort);
    const socket = new WebSocket(`ws://127.0.0.1:${httpPort}/ws`);
    t.after(() => socket.terminate());
    await new Promise(resolve => socket.once("open", resolve));
    await stream.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
    await stream.next({ id: 1 });
    socket.send('{"type":"join-room","room_id":"r","from":"Bob"}');
    socket.send('{"type":"publish","room_id":"r","data":{\r\n"a":\r[1,\n\n2]}}');
    const { data } = await stream.next({ type: "receive-message" });
    assert.deepEqual(data, { a: [1, 2] });
  });

  test("members by streams get all messages of a turn in order, whatever frames of their own come between", async t => {
    const { httpPort } = await serve(t);
    const streams = await Promise.all([0, 1, 2].map(() => EventStream.open(httpPort)));
    for (const [index, stream] of streams.entries()) {
      await stream.say({ type: "join-room", room_id: "r", from: `m${index}`, id: "joined" });
      await stream.next({ id: "joined" });
    }
    const messages = Array.from({ length: 40 }, (_, index) => `${index} é€😀`.repeat(1 + (index % 3)));
    const [sender, other] = streams as [EventStream, EventStream];
    const frames = messages.flatMap((message, id) => [
      { type: "ping", id },
      { type: "send-message", room_id: "r", message },
    ]);
    await Promise.all([sender.say(...frames), other.say(...messages.map((_, id) => ({ type: "ping", id })))]);
    for (const stream of streams) {
      const received: unknown[] = [];
      const pongs: unknown[] = [];
      const expected = stream === streams[2] ? 0 : messages.length;
      while (received.length < messages.length || pongs.length < expected) {
        await stream.until(() => stream.frames.length > 0);
        for (const { type, message, id } of stream.frames.splice(0)) {
          if (type === "receive-message") received.push(message);
          else if (type === "pong") pongs.push(id);
        }
      }
      assert.deepEqual(received, messages);
      assert.deepEqual(
        pongs,
        Array.from({ length: expected }, (_, id) => id),
      );
    }
  });

  test("frames of a request that is repeated are taken once, and a number that skips is refused", async t => {
    const { httpPort } = await serve(t);
    const stream = await EventStream.open(httpPort);
    const say = (number: number | string, ...frames: object[]) =>
      ask(
        httpPort,
        "POST",
        framesHeaders(stream.session, number),
        frames.map(each => JSON.stringify(each)).join("\n"),
      );
    const join = { type: "join-room", room_id: "r", from: "Ann", id: 1 };
    const send = { type: "send-message", room_id: "r", message: "once", id: 2 };
    assert.equal((await say(1, join, send)).status, 204);
    assert.equal((await say(1, join, send)).status, 204);
    const skipped = await say(3, { ...send, message: "early" });
    assert.deepEqual([skipped.status, skipped.reason], [409, "NUMBER_SKIPPED"]);
    for (const number of ["0", "-1", "x", "1.5", "", "9".repeat(30), "1, 2"]) {
      const refused = await say(number, send);
      assert.deepEqual([refused.status, refused.reason], [400, "INVALID_HEADER"], number);
    }
    const unnumbered = await ask(
      httpPort,
      "POST",
      { "protogate-session": stream.session, "content-type": "application/x-ndjson" },
      "{}",
    );
    assert.deepEqual([unnumbered.status, unnumbered.reason], [400, "MISSING_HEADER"]);
    assert.equal((await say(2, { ...send, message: "twice", id: 3 })).status, 204);
    await stream.next({ id: 3 });
    await say(3, { type: "history", room_id: "r", id: 4 });
    const { messages } = (await stream.next({ id: 4 })) as { messages: { message: string }[] };
    assert.deepEqual(
      messages.map(({ message }) => message),
      ["once", "twice"],
    );
  });

  test("a body that cannot be taken is refused whole, costs no number and leaves the session open", async t => {
    const { httpPort } = await serve(t, "limits: { message: 256 }");
    const stream = await EventStream.open(httpPort);
    const send = (body: string | Buffer, more = {}) =>
      ask(httpPort, "POST", framesHeaders(stream.session, 1, more), body);
    const join = '{"type":"join-room","room_id":"r","from":"Ann","id":1}';
    const long = JSON.stringify({ type: "ping", id: "x".repeat(300) });
    const tooLong = await send(`${join}\n${long}\n`);
    assert.deepEqual([tooLong.status, tooLong.reason], [413, "BODY_TOO_LARGE"]);
    const tooLarge = await send(`${join}\n`.repeat(2000));
    assert.deepEqual([tooLarge.status, tooLarge.reason], [413, "BODY_TOO_LARGE"]);
    const notText = await send(Buffer.concat([Buffer.from(`${join}\n"`), Buffer.from([0xff, 0x22])]));
    assert.deepEqual([notText.status, notText.reason], [400, "MALFORMED_JSON"]);
    const otherType = await send(join, { "content-type": "application/json" });
    assert.deepEqual([otherType.status, otherType.reason], [415, "UNSUPPORTED_MEDIA_TYPE"]);
    assert.equal((await send(`\r\n${join}\r\n\n`)).status, 204);
    assert.equal((await stream.next({ id: 1 })).type, "ack");
    assert.deepEqual(stream.frames, []);
    // One that is no frame gets an error, as on a WebSocket.
    stream.number = 1;
    assert.equal((await stream.say("nonsense")).status, 204);
    assert.equal((await stream.next({ type: "error" })).reason, "MALFORMED_JSON");
  });

  test("a session that is unknown, over or of another is 404, before any body is read", async t => {
    const gateway = await serve(t, 'auth: "none"');
    const { httpPort } = gateway;
    const [ann, bob] = [await EventStream.open(httpPort), await EventStream.open(httpPort)];
    assert.notEqual(ann.session, bob.session);
    await ann.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
    await ann.next({ id: 1 });
    for (const method of ["POST", "DELETE"]) {
      const unknown = await ask(httpPort, method, framesHeaders("x".repeat(32), 1));
      assert.deepEqual([unknown.status, unknown.reason], [404, "SESSION_NOT_FOUND"]);
      const unnamed = await ask(httpPort, method, { "protogate-number": "1" });
      assert.deepEqual([unnamed.status, unnamed.reason], [400, "MISSING_HEADER"]);
    }
    // The session that others know of is a name, not the secret.
    const { sessions = [] } = (await (await fetch(`${gateway.admin}/realtime/rooms/r/members`)).json()) as {
      sessions?: string[];
    };
    for (const session of sessions)
      assert.equal((await ask(httpPort, "DELETE", framesHeaders(session, 1))).status, 404);
    const left = await ask(httpPort, "DELETE", { "protogate-session": ann.session });
    assert.equal(left.status, 204);
    assert.deepEqual(await ann.closed, { code: 1000, reason: "" });
    assert.equal((await ann.say({ type: "ping" })).status, 404);
    assert.equal((await ask(httpPort, "DELETE", { "protogate-session": ann.session })).status, 404);
    bob.break();
    await sampled(gateway, open, 0);
    assert.equal((await bob.say({ type: "ping" })).status, 404);
    await sampled(gateway, 'protogate_ws_closes_total{code="1000"}', 1);
    await sampled(gateway, 'protogate_ws_closes_total{code="1006"}', 1);
  });

  test("sessions that are opened and dropped give their permits back", async t => {
    const gateway = await serve(t, "limits: { connections: 20 }");
    const { httpPort } = gateway;
    for (let round = 0; round < 5; round++) {
      const streams = await Promise.all(Array.from({ length: 20 }, () => EventStream.open(httpPort)));
      const refused = await ask(httpPort, "GET", { accept: "text/event-stream" });
      assert.deepEqual([refused.status, refused.reason], [503, "TOO_MANY_CONNECTIONS"]);
      assert.ok(Number(refused.headers["retry-after"]) > 0);
      for (const stream of streams) stream.break();
      await sampled(gateway, open, 0);
    }
    await sampled(gateway, "protogate_ws_connections", 0);
  });

  test("a page of an origin that is not listed neither opens a session nor uses one", async t => {
    const origin = "https://app.example.com";
    const gateway = await serve(t, `origins: ["${origin}"]`);
    const { httpPort, realtimePort } = gateway;
    const evil = { origin: "https://evil.example", cookie: "session=1" };
    for (const port of [httpPort, realtimePort]) {
      const opened = await ask(port, "GET", { accept: "text/event-stream", ...evil });
      assert.deepEqual([opened.status, opened.reason], [403, "ORIGIN_NOT_ALLOWED"]);
      assert.equal(opened.headers["access-control-allow-origin"], undefined);
      // A browser names no origin where the page cannot read the response.
      const blind = {
        accept: "text/event-stream",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "no-cors",
      };
      assert.equal((await ask(port, "GET", blind)).reason, "ORIGIN_NOT_ALLOWED");
      const stream = await EventStream.open(port, { origin });
      assert.equal(stream.response.headers["access-control-allow-origin"], origin);
      assert.match(String(stream.response.headers.vary), /origin/i);
      for (const method of ["POST", "DELETE"]) {
        const refused = await ask(port, method, framesHeaders(stream.session, 1, evil));
        assert.deepEqual([refused.status, refused.reason], [403, "ORIGIN_NOT_ALLOWED"], method);
      }
      const sent = await ask(port, "POST", framesHeaders(stream.session, 1, { origin }), '{"type":"ping"}');
      assert.deepEqual([sent.status, sent.headers["access-control-allow-origin"]], [204, origin]);
      stream.break();
    }
  });

  test("a preflight names the methods and headers of sessions, whatever http.cors says of other routes", async t => {
    const origin = "https://app.example.com";
    const cors = `http: { cors: { origins: [https://other.example], allow_headers: [x-api-key] } }\n`;
    const { httpPort } = await serve(t, `origins: ["${origin}"]`, cors);
    const preflight = (from: string) =>
      ask(httpPort, "OPTIONS", { origin: from, "access-control-request-method": "POST" });
    const { status, headers } = await preflight(origin);
    assert.equal(status, 204);
    assert.equal(headers["access-control-allow-origin"], origin);
    assert.match(String(headers["access-control-allow-methods"]), /DELETE.*GET.*POST/);
    for (const name of ["protogate-session", "protogate-number", "authorization", "x-api-key"])
      assert.ok(String(headers["access-control-allow-headers"]).split(", ").includes(name), name);
    const foreign = await preflight("https://other.example");
    assert.equal(foreign.headers["access-control-allow-origin"], undefined);
    assert.equal(foreign.headers["access-control-allow-headers"], undefined);
  });

  test("other methods and requests for nothing that is served are refused, and open nothing", async t => {
    const gateway = await serve(t);
    for (const port of [gateway.httpPort, gateway.realtimePort]) {
      assert.equal((await ask(port, "PUT", {}, "x")).status, 405);
      assert.equal((await ask(port, "HEAD", { accept: "text/event-stream" })).status, 426);
      assert.equal((await ask(port, "GET", { accept: "application/json" })).status, 426);
      assert.equal((await ask(port, "GET", { accept: "text/event-stream" }, undefined, "/w%73")).status, 404);
    }
    await sampled(gateway, open, 0);
    const without = await startTestGateway("realtime: { path: /ws }\nserver: { drain: 500ms }\n", {});
    t.after(() => without.close());
    assert.equal((await ask(without.httpPort, "GET", { accept: "text/event-stream" })).status, 426);
    assert.equal((await ask(without.httpPort, "POST", framesHeaders("x", 1))).status, 405);
  });

  test("where websocket is not among the transports, none is opened", async t => {
    const yaml = "realtime: { path: /ws, transports: [sse] }\nserver: { drain: 500ms }\n";
    const gateway = await startTestGateway(yaml, {});
    t.after(() => gateway.close());
    for (const port of [gateway.httpPort, gateway.realtimePort]) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
      const status = await new Promise(resolve => {
        socket.on("unexpected-response", (request, response) => {
          request.destroy();
          resolve(response.statusCode);
        });
        socket.on("error", () => undefined);
      });
      assert.equal(status, 404);
      (await EventStream.open(port)).break();
    }
  });

  test("a client that does not read its stream is closed with 4008 and costs the others nothing", async t => {
    const gateway = await serve(
      t,
      "limits: { messages_per_second: 100000, burst: 100000 }, backpressure: { max: 64KiB, policy: close }",
    );
    const { httpPort } = gateway;
    const [slow, quick] = [await EventStream.open(httpPort), await EventStream.open(httpPort)];
    for (const each of [slow, quick]) {
      await each.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
      await each.next({ id: 1 });
    }
    slow.response.pause();
    const message = "x".repeat(60_000);
    let sent = 0;
    let found = false;
    const behind = sampled(gateway, 'protogate_ws_slow_consumers_total{policy="close"}', 1).then(() => {
      found = true;
    });
    while (!found) {
      await quick.say({ type: "send-message", room_id: "r", message, id: ++sent });
      await quick.next({ id: sent });
    }
    await behind;
    slow.response.resume();
    assert.equal((await slow.closed)?.code, 4008);
    await quick.say({ type: "ping", id: "still" });
    await quick.next({ id: "still" });
  });

  test("over HTTP/2 a session is a stream beside its requests", {
    skip: engineUnderTest() === "uws" && "the engine speaks HTTP/1.1 alone",
  }, async t => {
    const { httpPort } = await serve(t);
    const client = connect(`http://127.0.0.1:${httpPort}`);
    t.after(() => client.destroy());
    const stream = client.request({ ":path": "/ws", accept: "text/event-stream" }).setEncoding("utf8");
    let text = "";
    stream.on("data", (chunk: string) => {
      text += chunk;
    });
    const arrived = async (pattern: RegExp): Promise<string> => {
      for (;;) {
        const found = pattern.exec(text)?.[1];
        if (found !== undefined) return found;
        await once(stream, "data");
      }
    };
    const session = await arrived(/"session":"([^"]+)"/);
    const post = client.request({ ":method": "POST", ":path": "/ws", ...framesHeaders(session, 1) });
    post.end('{"type":"join-room","room_id":"r","from":"Ann","id":1}');
    const [head] = await once(post, "response");
    assert.equal(head[":status"], 204);
    assert.equal(await arrived(/data: \{"type":"(\w+)","id":1/), "ack");
    const end = client.request({ ":method": "DELETE", ":path": "/ws", "protogate-session": session });
    end.resume().end();
    assert.equal(await arrived(/event: close\ndata: \{"code":(\d+)/), "1000");
    if (!stream.closed) await once(stream, "close");
  });

  test("when the gateway drains each stream gets its end with 1012", async () => {
    const gateway = await startTestGateway(`realtime: { ${transports} }\nserver: { drain: 500ms }\n`, {});
    const streams = await Promise.all(
      [gateway.httpPort, gateway.realtimePort].map(port => EventStream.open(port)),
    );
    const closed = gateway.close();
    for (const stream of streams) {
      const { code, reason = "" } = (await stream.closed) ?? {};
      assert.deepEqual([code, JSON.parse(reason).reason], [1012, "SHUTTING_DOWN"]);
    }
    await closed;
  });

  test("sessions stay open over a reload", async t => {
    const gateway = await serve(t);
    const stream = await EventStream.open(gateway.httpPort);
    await gateway.reload();
    await stream.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
    await stream.next({ id: 1 });
    stream.break();
  });

  test("neither the access log nor a metric has the secret of a session", async t => {
    const gateway = await serve(t);
    const stream = await EventStream.open(gateway.httpPort);
    await stream.say({ type: "join-room", room_id: "r", from: "Ann", id: 1 });
    await stream.next({ id: 1 });
    await gateway.logged(({ method, status }) => method === "POST" && status === 204);
    await gateway.logged(({ method, status }) => method === "GET" && status === 200);
    const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
    const status = await (await fetch(`${gateway.admin}/status`)).text();
    assert.ok(![JSON.stringify(gateway.log), metrics, status].some(text => text.includes(stream.session)));
    stream.break();
  });
});
