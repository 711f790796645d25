import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { SignJWT } from "jose";
import type { Client, State } from "../../clients/js/src/index.js";
import { startLine } from "../demo/page/line.js";
import { engineUnderTest } from "../engine.js";
import { startEcho } from "../gateway/echo.js";
import { startTestGateway, type TestGateway } from "../gateway/harness.js";
import { missing, startRedis } from "../realtime/brokers/servers.js";
import { startHttpProxy } from "./http-proxy.js";
import { connectTo, fallbacks, Ledger, openBy, served, transports } from "./members.js";

function start(realtime: string, more = ""): Promise<TestGateway> {
  const section = `realtime: { ${served}${realtime === "" ? "" : `, ${realtime}`} }\n`;
  return startTestGateway(`${section}server: { drain: 500ms }\n${more}`, {});
}

async function serve(t: TestContext, realtime = "", more = ""): Promise<TestGateway> {
  const gateway = await start(realtime, more);
  t.after(() => gateway.close());
  return gateway;
}

/** Resolves with the state, once it is that. */
function reaches(client: Client, wanted: State["state"]): Promise<State> {
  return new Promise(resolve => {
    client.on("state", state => {
      if (state.state === wanted) resolve(state);
    });
  });
}

describe(`the client without WebSockets (${engineUnderTest()})`, () => {
  for (const transport of fallbacks) {
    const { name } = transport;

    test(`a client by ${name} and one by a WebSocket agree on rooms, presence and who joins and leaves`, async t => {
      const { httpPort, realtimePort } = await serve(t);
      for (const port of [httpPort, realtimePort]) {
        const ann = connectTo(t, port, { transports: [transport] });
        const bob = connectTo(t, port);
        const room = ann.room(`x${port}`, { from: "Ann" });
        const ledger = new Ledger(room);
        await room.join();
        assert.deepEqual(ann.state, { state: "open", transport: name });
        const entered = new Promise(resolve => room.on("enter", resolve));
        const left = new Promise(resolve => room.on("leave", resolve));
        await room.send("earlier");
        const theirs = bob.room(room.name, { from: "Bob", last: 10 });
        const seen = new Ledger(theirs);
        await theirs.join();
        assert.equal(await entered, "Bob");
        await theirs.send("hello €😀");
        await Promise.all([ledger.has("hello €😀"), seen.has("hello €😀")]);
        assert.deepEqual(await room.presence(), { count: 2, members: ["Ann", "Bob"] });
        await theirs.leave();
        assert.equal(await left, "Bob");
        assert.deepEqual(ledger.texts, ["earlier", "hello €😀"]);
        assert.deepEqual(seen.texts, ledger.texts);
        await assert.rejects(ann.call("a.B/C"), { reason: "METHOD_NOT_CALLABLE" });
        ann.close();
        bob.close();
      }
    });

    test(`a client by ${name} that closes leaves its rooms at once`, async t => {
      const { httpPort } = await serve(t);
      const room = connectTo(t, httpPort).room("x", { from: "Bob" });
      await room.join();
      const ann = connectTo(t, httpPort, { transports: [transport] });
      await ann.room("x", { from: "Ann" }).join();
      const left = new Promise(resolve => room.on("leave", resolve));
      ann.close();
      assert.equal(await left, "Ann");
    });

    test(`calls of a client by ${name} get their responses`, async t => {
      const realtime = `realtime: { ${served}, calls: [test.v1.Echo/Get] }\n`;
      const { gateway, close } = await startEcho("", `${realtime}server: { drain: 500ms }\n`);
      t.after(close);
      const client = connectTo(t, gateway.httpPort, { transports: [transport] });
      const calls = Array.from({ length: 16 }, (_, n) =>
        client.call<{ id: string }>("test.v1.Echo/Get", { id: `item ${n}` }),
      );
      const bodies = await Promise.all(calls);
      assert.deepEqual(
        bodies.map(({ id }) => id),
        bodies.map((_, n) => `item ${n}`),
      );
    });

    test(`a client by ${name} renews its token before it ends, and asks for another when it is refused`, async t => {
      const secret = "s".repeat(32);
      const { httpPort } = await serve(
        t,
        "auth: users",
        `auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }\n`,
      );
      const sign = (end: string): Promise<string> =>
        new SignJWT({ sub: "ann" })
          .setProtectedHeader({ alg: "HS256" })
          .setExpirationTime(end)
          .sign(new TextEncoder().encode(secret));
      const reasons: string[] = [];
      let renewed = (): void => undefined;
      const renewal = new Promise<void>(resolve => (renewed = resolve));
      const client = connectTo(t, httpPort, {
        transports: [transport],
        token: why => {
          reasons.push(why);
          if (reasons.length === 1) return "refused";
          if (why === "expiring") renewed();
          // It is notified 30 s before the end.
          return sign(why === "expiring" ? "1h" : "31s");
        },
      });
      const room = client.room("x");
      await room.join();
      await renewal;
      await room.send("still here");
      assert.deepEqual(reasons, ["connect", "connect", "expiring"]);
    });

    test(`a client by ${name} whose token is refused for good is closed with that reason`, async t => {
      const { httpPort } = await serve(
        t,
        "auth: users",
        `auth: { providers: { users: { type: jwt, secret: "${"s".repeat(32)}", algorithms: [HS256] } } }\n`,
      );
      const client = connectTo(t, httpPort, { transports: [transport], token: "refused" });
      const closed = reaches(client, "closed");
      client.connect();
      const { code, reason } = (await closed) as State & { state: "closed" };
      assert.equal(code, 4401);
      assert.match(JSON.parse(reason).reason, /^[A-Z_]+$/);
    });

    test(`a frame of a client by ${name} above the limit of the gateway fails, and the room goes on`, async t => {
      const { httpPort } = await serve(t, "limits: { message: 1KiB }");
      const room = connectTo(t, httpPort, { transports: [transport] }).room("x", { from: "Ann" });
      await room.join();
      await assert.rejects(room.send("x".repeat(1500)), { reason: "MESSAGE_TOO_LARGE" });
      await room.send("small");
    });

    test(`a client by ${name} whose responses are lost gets and sends every message once, in order`, async t => {
      const { httpPort } = await serve(t);
      const proxy = await startHttpProxy(t, httpPort);
      const room = connectTo(t, proxy.port, { transports: [transport] }).room("x", { from: "Ann" });
      const other = connectTo(t, httpPort).room("x", { from: "Bob" });
      const ledgers = [new Ledger(room), new Ledger(other)];
      await Promise.all([room.join(), other.join()]);
      const sent: string[] = [];
      for (let n = 0; n < 12; n++) {
        if (n % 4 === 0) proxy.lose("POST", 2);
        if (n % 4 === 2) proxy.lose("GET poll", 2);
        const text = `${n}`;
        await (n % 2 === 0 ? room : other).send(text);
        sent.push(text);
      }
      for (const ledger of ledgers) {
        await ledger.has("11");
        assert.deepEqual([ledger.texts, ledger.lost, ledger.epochs], [sent, 0, 0]);
      }
    });

    test(`a client by ${name} gets what was published while its network was away`, async t => {
      const { httpPort } = await serve(t);
      const proxy = await startHttpProxy(t, httpPort);
      const client = connectTo(t, proxy.port, { transports: [transport], responseTimeout: 1000 });
      const room = client.room("x", { from: "Ann" });
      const other = connectTo(t, httpPort).room("x", { from: "Bob" });
      const ledger = new Ledger(room);
      await Promise.all([room.join(), other.join()]);
      await other.send("before");
      await ledger.has("before");
      const waiting = reaches(client, "waiting");
      proxy.cut();
      await waiting;
      await other.send("meanwhile");
      proxy.restore();
      await ledger.has("meanwhile");
      assert.deepEqual([ledger.texts, ledger.lost, ledger.epochs], [["before", "meanwhile"], 0, 0]);
    });
  }

  test("a client behind a proxy without WebSockets takes server-sent events, and does not try WebSockets again soon", async t => {
    const { httpPort } = await serve(t);
    const proxy = await startHttpProxy(t, httpPort);
    const client = connectTo(t, proxy.port, { transports });
    assert.equal(await openBy(client), "sse");
    await client.room("x", { from: "Ann" }).join();
    const again = reaches(client, "open");
    proxy.cut();
    proxy.restore();
    assert.deepEqual(await again, { state: "open", transport: "sse" });
    assert.equal(proxy.requests.filter(kind => kind === "GET upgrade").length, 1);
  });

  test("a client behind a proxy that holds responses back until they are whole polls", async t => {
    const { httpPort } = await serve(t);
    const proxy = await startHttpProxy(t, httpPort);
    proxy.holds = true;
    const client = connectTo(t, proxy.port, { transports, connectTimeout: 1000 });
    assert.equal(await openBy(client), "poll");
    const room = client.room("x", { from: "Ann" });
    const ledger = new Ledger(room);
    await room.join();
    await room.send("through");
    await ledger.has("through");
  });

  test("a client does not find a session where the gateway serves only WebSockets, and takes one", async t => {
    const gateway = await startTestGateway("realtime: { path: /ws }\n", {});
    t.after(() => gateway.close());
    const client = connectTo(t, gateway.httpPort, { transports: [...fallbacks, "websocket"] });
    assert.equal(await openBy(client), "websocket");
  });

  test("members by WebSockets, server-sent events and polls account for every message while gateways are restarted and networks cut", {
    skip: missing("redis-server"),
  }, async t => {
    const redis = await startRedis();
    t.after(() => redis.close());
    const broker = `broker: { type: redis, url: "redis://127.0.0.1:${redis.port}" }, history: { messages: 1000 }`;
    let gateway = await start(broker);
    t.after(() => gateway.close());
    // Plain TCP for WebSockets, HTTP for the others.
    const line = await startLine(gateway.httpPort);
    t.after(() => line.close());
    const proxy = await startHttpProxy(t, gateway.httpPort);
    const ports = [line.port, proxy.port, proxy.port];
    const clients = transports.flatMap((transport, n) =>
      [0, 1].map(() => connectTo(t, ports[n] ?? 0, { transports: [transport] })),
    );
    const names = ["x", "y"];
    const members = clients.flatMap((client, n) =>
      names.map(name => {
        const room = client.room(name, { from: `M${n}` });
        return { room, ledger: new Ledger(room) };
      }),
    );
    await Promise.all(members.map(({ room }) => room.join()));
    const sent = new Map<string, string[]>(names.map(name => [name, []]));
    let count = 0;
    const sayAll = async (): Promise<void> => {
      await Promise.all(
        members.map(async ({ room }) => {
          const text = `${++count}`;
          await room.send(text);
          sent.get(room.name)?.push(text);
        }),
      );
    };
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) await sayAll();
      const next = await start(broker);
      proxy.lose("POST", 3);
      proxy.lose("GET poll", 2);
      line.restore(next.httpPort);
      proxy.restore(next.httpPort);
      const before = gateway;
      gateway = next;
      await Promise.all([before.close(200), sayAll(), sayAll()]);
      const saying = sayAll();
      proxy.cut();
      line.cut();
      proxy.restore();
      line.restore();
      await saying;
    }
    await sayAll();
    for (const { room, ledger } of members) {
      const expected = sent.get(room.name) ?? [];
      for (const text of expected) await ledger.has(text);
      assert.deepEqual([ledger.lost, ledger.epochs], [0, 0]);
      assert.equal(new Set(ledger.texts).size, ledger.texts.length, "delivered twice");
      assert.equal(ledger.texts.length, expected.length);
      // All members of a room get one order.
      const first = members.find(each => each.room.name === room.name);
      assert.deepEqual(ledger.texts, first?.ledger.texts);
    }
  });
});
