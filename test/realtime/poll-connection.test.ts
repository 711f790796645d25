import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Cancellation } from "../../src/net/cancellation.js";
import type { FallbackConnection, FallbackOwner } from "../../src/realtime/fallback/fallback-connection.js";
import { PollConnection } from "../../src/realtime/fallback/poll-connection.js";
import { Socket } from "../../src/realtime/rooms/socket.js";
import { Topics } from "../../src/realtime/rooms/topics.js";
import type { SocketEvents } from "../../src/realtime/sockets/socket-events.js";
import { until } from "./harness.js";

interface Polled {
  readonly from: number;
  readonly frames: readonly number[];
  readonly close?: { readonly code: number };
}

/** A connection whose events are counted. */
function connect({ draining = false, waitMs = 60_000 } = {}) {
  const ended: number[] = [];
  const events = {
    drained: () => undefined,
    closed: (_socket: Socket, code: number) => void ended.push(code),
  };
  const owner: FallbackOwner = {
    prefix: "",
    draining,
    events: events as Partial<SocketEvents> as SocketEvents,
    topics: new Topics<FallbackConnection>(),
    flushLater: each => void setImmediate(() => each.flush()),
    removed: () => undefined,
  };
  const client = { identity: undefined, clientAddress: "127.0.0.1", requestId: "r" };
  const socket = new Socket("s", client, { sendLimit: 1 << 20, tooSlow: () => undefined }, 100);
  const times = { waitMs, silenceMs: 60_000, lastPollMs: 2000 };
  return { connection: new PollConnection(owner, socket, times), socket, ended };
}

/** Numbers from 0 up to `below`, the same for the same seed. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("a connection by long polling", () => {
  test("every frame arrives once and in order, whichever responses and requests are lost", async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomFrom(seed);
      const { connection, ended } = connect();
      const arrived: number[] = [];
      let sent = 0;
      let open: Promise<unknown>[] = [];
      for (let step = 0; step < 60; step++) {
        const choice = random(6);
        if (choice < 2) {
          for (let count = 1 + random(3); count > 0; count--) connection.send(String(++sent));
        } else if (choice === 2) {
          await new Promise(resolve => setImmediate(resolve));
        } else {
          const cancellation = new Cancellation();
          const polled = connection.poll(arrived.length, cancellation);
          const lost = random(3) === 0;
          if (lost && random(2) === 0) cancellation.cancel();
          const taken = Promise.resolve(polled).then(text => {
            if (lost || text === "") return;
            const { from, frames }: Polled = JSON.parse(text);
            for (const [index, frame] of frames.entries())
              if (from + index === arrived.length + 1) arrived.push(frame);
          });
          open.push(taken);
          if (!(polled instanceof Promise)) await taken;
        }
      }
      // At last nothing is lost any more.
      connection.send(String(++sent));
      while (arrived.length < sent) {
        const { from, frames }: Polled = JSON.parse(
          await connection.poll(arrived.length, new Cancellation()),
        );
        assert.equal(from, arrived.length + 1, `seed ${seed}`);
        arrived.push(...frames);
      }
      assert.deepEqual(
        arrived,
        Array.from({ length: sent }, (_, index) => index + 1),
        `seed ${seed}`,
      );
      connection.leave();
      await Promise.all(open);
      open = [];
      assert.deepEqual(ended, [1000]);
    }
  });

  test("frames that are not confirmed count as waiting for the client", () => {
    const { connection } = connect();
    connection.send('"é"');
    connection.send('"b"');
    assert.equal(connection.getBufferedAmount(), 7);
    connection.poll(0, new Cancellation());
    assert.equal(connection.getBufferedAmount(), 7);
    connection.poll(1, new Cancellation());
    assert.equal(connection.getBufferedAmount(), 3);
    connection.poll(2, new Cancellation());
    assert.equal(connection.getBufferedAmount(), 0);
    connection.close();
  });

  test("a poll without frames is answered when its time is over, and one that waits keeps the session open", async () => {
    const { connection, ended } = connect({ waitMs: 5 });
    const text = await connection.poll(0, new Cancellation());
    assert.deepEqual(JSON.parse(text), { from: 1, frames: [] });
    connection.tick(performance.now());
    assert.deepEqual(ended, []);
    const waiting = connect();
    waiting.connection.poll(0, new Cancellation());
    waiting.connection.tick(performance.now() + 3_600_000);
    assert.deepEqual(waiting.ended, []);
    waiting.connection.leave();
  });

  test("a session whose client does not poll ends with 1006, and one that was ended with its code", () => {
    const silent = connect();
    silent.connection.tick(performance.now() + 59_000);
    assert.deepEqual(silent.ended, []);
    silent.connection.tick(performance.now() + 60_001);
    silent.connection.tick(performance.now() + 60_001);
    assert.deepEqual(silent.ended, [1006]);
    const told = connect();
    told.connection.end(4403, "bye");
    told.connection.tick(performance.now() + 60_001);
    assert.deepEqual(told.ended, [4403]);
  });

  test("a session that ends because the gateway drains gets only a short time for its last poll", async () => {
    for (const confirmed of [true, false]) {
      const { connection, socket, ended } = connect({ draining: true });
      socket.open(connection);
      if (!confirmed) connection.send("1");
      connection.tick(performance.now() + 59_000);
      socket.beginClose({ code: 1012, reason: "", until: Number.POSITIVE_INFINITY, left: new Map() });
      if (confirmed) socket.end(1012, "");
      connection.tick(performance.now() + 1000);
      assert.deepEqual(ended, []);
      connection.tick(performance.now() + 2001);
      assert.equal(ended.length, 1);
    }
  });

  test("the end comes behind all frames, by the poll that waits or by the next one", async () => {
    for (const waits of [true, false]) {
      const { connection, ended } = connect();
      const polled = waits ? connection.poll(0, new Cancellation()) : undefined;
      connection.send("1");
      connection.end(1012, "later");
      connection.send("2");
      const text = await (polled ?? connection.poll(0, new Cancellation()));
      assert.deepEqual(JSON.parse(text), { from: 1, frames: [1], close: { code: 1012, reason: "later" } });
      await until(() => ended.length > 0);
      assert.deepEqual(ended, [1012]);
    }
  });
});
