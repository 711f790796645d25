import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FallbackConnection, FallbackOwner } from "../../src/realtime/fallback/fallback-connection.js";
import { StreamConnection } from "../../src/realtime/fallback/stream-connection.js";
import { Socket } from "../../src/realtime/rooms/socket.js";
import { Topics } from "../../src/realtime/rooms/topics.js";
import type { SocketEvents } from "../../src/realtime/sockets/socket-events.js";

/** A connection whose events and output are kept, and whose client reads when the test lets it. */
function connect(idleMs?: number) {
  const seen = { closed: [] as number[], drained: 0, text: "", ended: false, abandoned: false };
  let read: () => void = () => undefined;
  let reading = true;
  const events = {
    drained: () => void seen.drained++,
    closed: (_socket: Socket, code: number) => void seen.closed.push(code),
  };
  const owner: FallbackOwner = {
    prefix: "",
    draining: false,
    events: events as Partial<SocketEvents> as SocketEvents,
    topics: new Topics<FallbackConnection>(),
    flushLater: each => void setImmediate(() => each.flush()),
    removed: () => undefined,
  };
  const client = { identity: undefined, clientAddress: "127.0.0.1", requestId: "r" };
  const socket = new Socket("s", client, { sendLimit: 1 << 20, tooSlow: () => undefined }, 100);
  const connection = new StreamConnection(owner, socket, { commentMs: 10_000, idleMs });
  const start = (): void =>
    connection.start(
      {
        write: chunk => {
          seen.text += chunk;
          return reading;
        },
        onDrain: listener => {
          read = listener;
        },
        end: () => {
          seen.ended = true;
        },
      },
      () => {
        seen.abandoned = true;
      },
    );
  return {
    connection,
    seen,
    start,
    stall: () => {
      reading = false;
    },
    resume: () => {
      reading = true;
      read();
    },
  };
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

describe("a connection by server-sent events", () => {
  test("a stream on which nothing was written for a while gets a comment, and a busy one does not", async () => {
    const { connection, seen, start } = connect();
    start();
    connection.tick(performance.now() + 9000);
    await turn();
    assert.ok(!seen.text.includes("\n:\n"));
    connection.tick(performance.now() + 10_001);
    await turn();
    assert.ok(seen.text.endsWith("\n\n:\n\n"));
  });

  test("a client that responds to pings gets one after silence, and is gone where it stays silent", async () => {
    const { connection, seen, start } = connect(60_000);
    start();
    await turn();
    const pings = (): number => seen.text.split("event: ping\ndata: {}\n\n").length - 1;
    const silence = async (ms: number): Promise<void> => {
      connection.tick(performance.now() + ms);
      await turn();
    };
    await silence(43_000);
    assert.equal(pings(), 0);
    await silence(44_001);
    await silence(59_000);
    assert.equal(pings(), 1);
    connection.receive(1, []);
    await silence(44_001);
    assert.equal(pings(), 2);
    // A repeated request was sent, too.
    connection.receive(1, []);
    await silence(44_001);
    assert.deepEqual([pings(), seen.closed, seen.abandoned], [3, [], false]);
    await silence(60_001);
    assert.deepEqual([seen.closed, seen.abandoned], [[1006], true]);
  });

  test("a client that does not say that it responds to pings gets none, and is never gone for its silence", async () => {
    const { connection, seen, start } = connect();
    start();
    connection.tick(performance.now() + 1e9);
    await turn();
    assert.ok(!seen.text.includes("event: ping"));
    assert.deepEqual(seen.closed, []);
  });

  test("frames wait in order while the client does not read, and count as waiting", async () => {
    const { connection, seen, start, stall, resume } = connect();
    start();
    await turn();
    stall();
    for (const text of ['"a"', '"b"', '"é"']) {
      connection.send(text);
      await turn();
    }
    // The first was given to the engine, which has reported that the client is behind.
    assert.ok(seen.text.endsWith('data: "a"\n\n'));
    assert.equal(connection.getBufferedAmount(), Buffer.byteLength('data: "b"\n\ndata: "é"\n\n'));
    resume();
    assert.ok(seen.text.endsWith('data: "a"\n\ndata: "b"\n\ndata: "é"\n\n'));
    assert.deepEqual([connection.getBufferedAmount(), seen.drained], [0, 1]);
  });

  test("the end is sent behind the frames that wait, and the gateway is done with the socket at once", async () => {
    const { connection, seen, start, stall, resume } = connect();
    start();
    await turn();
    stall();
    connection.send("1");
    await turn();
    connection.send("2");
    connection.end(1012, "later");
    connection.end(1000, "again");
    connection.send("3");
    assert.deepEqual([seen.closed, seen.ended], [[1012], false]);
    resume();
    await turn();
    assert.ok(seen.text.endsWith('data: 2\n\nevent: close\ndata: {"code":1012,"reason":"later"}\n\n'));
    assert.deepEqual([seen.closed, seen.ended], [[1012], true]);
  });

  test("the stream ends although the turn in which it ends has sent more than is gathered", async () => {
    const { connection, seen, start } = connect();
    start();
    await turn();
    connection.send("1".repeat(16_000));
    connection.end(1000, "x".repeat(1000));
    await turn();
    assert.ok(seen.text.endsWith("\n\n"));
    assert.deepEqual([seen.closed, seen.ended], [[1000], true]);
  });

  test("an end before the head of the response is out is sent behind it", async () => {
    const { connection, seen, start } = connect();
    connection.end(1012, "");
    await turn();
    start();
    assert.match(
      seen.text,
      /^event: session\ndata: .*\n\nevent: close\ndata: \{"code":1012,"reason":""\}\n\n$/,
    );
    assert.deepEqual([seen.closed, seen.ended], [[1012], true]);
  });

  test("a client that leaves, before the head is out or later, ends the socket once with 1006", async () => {
    const early = connect();
    early.connection.disconnected();
    early.start();
    early.connection.send("1");
    await turn();
    assert.deepEqual([early.seen.closed, early.seen.text, early.seen.abandoned], [[1006], "", true]);
    const late = connect();
    late.start();
    late.connection.close();
    late.connection.disconnected();
    assert.deepEqual([late.seen.closed, late.seen.abandoned], [[1006], true]);
  });
});
