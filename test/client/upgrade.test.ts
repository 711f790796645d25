import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { SignJWT } from "jose";
import type { Client, State } from "../../clients/js/src/index.js";
import { engineUnderTest } from "../engine.js";
import { startTestGateway, type TestGateway } from "../gateway/harness.js";
import { startTicks, startTicksGateway } from "../streams/ticks.js";
import { type HttpProxy, startHttpProxy } from "./http-proxy.js";
import { connectTo, fallbacks, Ledger, openBy, served, transports } from "./members.js";

const soon = { min: 5, max: 20 };

async function serve(t: TestContext, more = ""): Promise<TestGateway> {
  const gateway = await startTestGateway(`realtime: { ${served} }\nserver: { drain: 500ms }\n${more}`, {});
  t.after(() => gateway.close());
  return gateway;
}

/** Resolves once the client is open by that transport. */
function opensBy(client: Client, transport: string): Promise<void> {
  return new Promise(resolve => {
    client.on("state", state => {
      if (state.state === "open" && state.transport === transport) resolve();
    });
  });
}

const upgrades = ({ requests }: HttpProxy): number => requests.filter(kind => kind === "GET upgrade").length;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(resolve => setImmediate(resolve));
}

async function openSockets({ admin }: TestGateway): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^protogate_ws_connections(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1]);
}

describe(`the client that has fallen back (${engineUnderTest()})`, () => {
  for (const fallback of fallbacks) {
    const { name } = fallback;

    test(`a client by ${name} moves to a WebSocket once one passes, and gets and sends every message once, in order`, async t => {
      const gateway = await serve(t);
      const proxy = await startHttpProxy(t, gateway.httpPort);
      const client = connectTo(t, proxy.port, { transports: ["websocket", fallback], upgrade: soon });
      const states: State[] = [];
      client.on("state", state => states.push(state));
      const room = client.room("x", { from: "Ann" });
      const other = connectTo(t, gateway.httpPort).room("x", { from: "Bob" });
      const ledgers = [new Ledger(room), new Ledger(other)];
      await Promise.all([room.join(), other.join()]);
      assert.deepEqual(client.state, { state: "open", transport: name });
      await until(() => upgrades(proxy) > 2);
      assert.deepEqual(client.state, { state: "open", transport: name });
      const left: string[] = [];
      other.on("leave", who => left.push(who));
      const moved = opensBy(client, "websocket");
      let going = true;
      const sending = [room, other].map(async (each, n) => {
        const texts: string[] = [];
        const send = async (): Promise<void> => {
          texts.push(`${n} ${texts.length}`);
          await each.send(texts.at(-1) ?? "");
        };
        while (going) await send();
        for (let more = 0; more < 5; more++) await send();
        return texts;
      });
      proxy.upgrades = true;
      await moved;
      going = false;
      const [mine = [], theirs = []] = await Promise.all(sending);
      for (const ledger of ledgers) {
        await until(() => ledger.texts.length >= mine.length + theirs.length);
        assert.deepEqual([ledger.lost, ledger.epochs], [0, 0]);
        assert.deepEqual(
          ledger.texts.filter(text => text.startsWith("0")),
          mine,
        );
        assert.deepEqual(
          ledger.texts.filter(text => text.startsWith("1")),
          theirs,
        );
      }
      assert.deepEqual(ledgers[0]?.texts, ledgers[1]?.texts);
      // The session before the move has ended, and others do not see the member leave.
      await until(async () => (await openSockets(gateway)) === 2);
      assert.deepEqual((await other.presence()).members.toSorted(), ["Ann", "Bob"]);
      assert.deepEqual(left, []);
      assert.deepEqual(
        states.map(({ state }) => state),
        ["connecting", "open", "open"],
      );
    });

    test(`a client by ${name} that is closed as soon as it is open tries no other transport`, async t => {
      const gateway = await serve(t);
      const [proxy, otherProxy] = [
        await startHttpProxy(t, gateway.httpPort),
        await startHttpProxy(t, gateway.httpPort),
      ];
      const client = connectTo(t, proxy.port, { transports: ["websocket", fallback], upgrade: soon });
      client.on("state", ({ state }) => {
        if (state === "open") client.close();
      });
      client.connect();
      await until(() => client.state.state === "closed");
      // One that stays open tries several times meanwhile.
      await openBy(connectTo(t, otherProxy.port, { transports: ["websocket", fallback], upgrade: soon }));
      await until(() => upgrades(otherProxy) > 4);
      assert.equal(upgrades(proxy), 1);
    });

    test(`a stream of a client by ${name} is not cut off by the move to a WebSocket, which comes after it`, async t => {
      const ticks = await startTicks();
      t.after(() => ticks.close());
      const gateway = await startTicksGateway(
        ticks.port,
        "",
        `realtime: { ${served}, calls: [test.v1.Ticks/Watch] }\nserver: { drain: 500ms }`,
      );
      t.after(() => gateway.close());
      const proxy = await startHttpProxy(t, gateway.httpPort);
      const client = connectTo(t, proxy.port, { transports: ["websocket", fallback], upgrade: soon });
      assert.equal(await openBy(client), name);
      const seen: string[] = [];
      const moved = opensBy(client, "websocket");
      for await (const { seq } of client.stream<{ seq: string }>("test.v1.Ticks/Watch", {
        room: "x",
        count: 3,
        hang: true,
      })) {
        proxy.upgrades = true;
        seen.push(seq);
        if (seen.length < 3) continue;
        const before = upgrades(proxy);
        for (let n = 0; n < 20; n++) await client.room(`${n}`, { from: "Ann" }).join();
        assert.deepEqual(client.state, { state: "open", transport: name });
        assert.ok(upgrades(proxy) - before <= 1);
        break;
      }
      await moved;
      assert.deepEqual(seen, ["1", "2", "3"]);
    });
  }

  test("a client whose application prefers server-sent events or has no other transport stays with them", async t => {
    const gateway = await serve(t);
    const proxy = await startHttpProxy(t, gateway.httpPort);
    proxy.upgrades = true;
    for (const chosen of [[fallbacks[0]], [fallbacks[0], "websocket"]] as const) {
      const client = connectTo(t, proxy.port, { transports: chosen as never, upgrade: { min: 1, max: 1 } });
      const room = client.room("x", { from: "Ann" });
      await room.join();
      for (let n = 0; n < 30; n++) await room.send(`${n}`);
      assert.deepEqual(client.state, { state: "open", transport: "sse" });
    }
    assert.equal(upgrades(proxy), 0);
  });

  test("a client that is not to try better transports stays with the one that it has fallen back to", async t => {
    const gateway = await serve(t);
    const proxy = await startHttpProxy(t, gateway.httpPort);
    const upgrade = { min: Number.POSITIVE_INFINITY };
    const client = connectTo(t, proxy.port, { transports, upgrade });
    const room = client.room("x", { from: "Ann" });
    await room.join();
    proxy.upgrades = true;
    for (let n = 0; n < 30; n++) await room.send(`${n}`);
    assert.deepEqual(client.state, { state: "open", transport: "sse" });
    assert.equal(upgrades(proxy), 1);
  });

  test("a client moves to a WebSocket also where its user may have one session, and the gateway ends the older one", async t => {
    const secret = "s".repeat(32);
    const gateway = await startTestGateway(
      `realtime: { ${served}, auth: users, sessions: [{ key: subject, max: 1, over: kick_oldest }] }
server: { drain: 500ms }
auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }\n`,
      {},
    );
    t.after(() => gateway.close());
    const token = (subject: string): Promise<string> =>
      new SignJWT({ sub: subject })
        .setProtectedHeader({ alg: "HS256" })
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(secret));
    const proxy = await startHttpProxy(t, gateway.httpPort);
    const client = connectTo(t, proxy.port, { transports, upgrade: soon, token: await token("ann") });
    const room = client.room("x");
    const ledger = new Ledger(room);
    await room.join();
    assert.deepEqual(client.state, { state: "open", transport: "sse" });
    const other = connectTo(t, gateway.httpPort, { token: await token("bob") }).room("x");
    await other.join();
    const moved = opensBy(client, "websocket");
    proxy.upgrades = true;
    await moved;
    await other.send("after");
    await room.send("still here");
    await Promise.all([ledger.has("after"), ledger.has("still here")]);
    assert.deepEqual(ledger.texts, ["after", "still here"]);
    assert.deepEqual(client.state, { state: "open", transport: "websocket" });
  });
});
