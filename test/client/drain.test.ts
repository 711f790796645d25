import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import type { Client, State } from "../../clients/js/src/index.js";
import { engineUnderTest } from "../engine.js";
import { startTestGateway } from "../gateway/harness.js";
import { connectTo, fallbacks, Ledger, served } from "./members.js";

/** As long as a gateway that gets SIGTERM keeps idle connections. */
const lingerMs = 1000;

/** Resolves with the state in which the client is not connected any more, after which it does not come back. */
function lost(client: Client): Promise<State> {
  return new Promise(resolve => {
    client.on("state", state => {
      if (state.state !== "waiting") return;
      resolve(state);
      client.close();
    });
  });
}

/** Sockets that a drain ends one after the other, for longer than idle connections stay. */
async function openSockets(t: TestContext, port: number, count: number): Promise<void> {
  const sockets = Array.from({ length: count }, () => new WebSocket(`ws://127.0.0.1:${port}/ws`));
  t.after(() => {
    for (const socket of sockets) socket.terminate();
  });
  await Promise.all(sockets.map(socket => once(socket, "open")));
}

describe(`the client of a gateway that drains (${engineUnderTest()})`, () => {
  test("clients by server-sent events and polls are notified at once, also between two polls, however many sockets a drain ends one after the other", async t => {
    const gateway = await startTestGateway(`realtime: { ${served} }\nserver: { drain: 4s }\n`, {});
    let closing: Promise<void> | undefined;
    t.after(() => closing ?? gateway.close());
    await openSockets(t, gateway.httpPort, 200);
    const clients = Array.from({ length: 12 }, (_, n) =>
      connectTo(t, gateway.httpPort, { transports: [fallbacks[n % 2] as (typeof fallbacks)[0]] }),
    );
    const rooms = clients.map((client, n) => client.room("x", { from: `M${n}` }));
    const ledgers = rooms.map(room => new Ledger(room));
    await Promise.all(rooms.map(room => room.join()));
    const states = Promise.all(clients.map(lost));
    // Polls are responded all the time, so that some clients are between two of them.
    let over = false;
    const publish = async (): Promise<void> => {
      for (let n = 0; !over; n++)
        await fetch(`${gateway.admin}/realtime/publish`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ room: "x", from: "server", message: `${n}` }),
        }).then(
          response => response.text(),
          () => undefined,
        );
    };
    const publishing = publish();
    await Promise.all(ledgers.map(ledger => ledger.has("20")));
    closing = gateway.close(lingerMs);
    for (const state of await states) {
      assert.ok(state.state === "waiting");
      assert.equal(state.code, 1012, state.reason);
      assert.equal(JSON.parse(state.reason).reason, "SHUTTING_DOWN");
    }
    over = true;
    await publishing;
    await closing;
  });

  test("each of hundreds of polls that wait when a drain begins is responded with the end of its session", async t => {
    const gateway = await startTestGateway(`realtime: { ${served} }\nserver: { drain: 4s }\n`, {});
    let closing: Promise<void> | undefined;
    t.after(() => closing ?? gateway.close());
    const url = `${gateway.url}/ws`;
    const polls: Promise<{ readonly close?: { readonly code: number } }>[] = [];
    for (let n = 0; n < 250; n++) {
      const { session } = (await (await fetch(url, { method: "POST" })).json()) as { session: string };
      const headers = { "protogate-session": session, "protogate-number": "1" };
      const body = '{"type":"ping"}';
      await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/x-ndjson" },
        body,
      });
      const poll = async (received: string) => {
        const response = await fetch(url, { headers: { ...headers, "protogate-received": received } });
        return response.json() as Promise<{ readonly close?: { readonly code: number } }>;
      };
      // The second one waits.
      await poll("0");
      polls.push(poll("1"));
    }
    // By the responses to later requests the polls have arrived.
    for (let n = 0; n < 10; n++) await (await fetch(url, { method: "POST" })).text();
    closing = gateway.close(lingerMs);
    for (const { close } of await Promise.all(polls)) assert.equal(close?.code, 1012);
    await closing;
  });
});
