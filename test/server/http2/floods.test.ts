import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { ErrorCode, Flag, FrameType } from "../../../src/h2/protocol.js";
import type { Engine, EngineOptions } from "../../../src/server/engine.js";
import type { InboundRequest } from "../../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../../src/server/response-writer.js";
import { block, frame, settings, uint32 } from "../../upstream/h2/raw-server.js";
import { onLoopback } from "../loopback.js";
import { get, getFields, post, preface, RawClient } from "./raw-client.js";

const cancel = uint32(ErrorCode.Cancel);
/** A hundred requests from a stream on, each given up at once. */
function givenUp(first: number): Buffer {
  const streams = Array.from({ length: 100 }, (_, index) => first + 2 * index);
  return Buffer.concat(
    streams.flatMap(stream => [get(stream), frame(FrameType.RstStream, 0, stream, cancel)]),
  );
}

const endHeaders = Flag.EndHeaders | Flag.EndStream;

describe("floods over HTTP/2", () => {
  let engine: Engine | undefined;
  const clients: RawClient[] = [];

  async function start(more: Partial<EngineOptions> = {}): Promise<void> {
    engine = await startFastifyEngine({
      ...onLoopback,
      http2: true,
      headerLimit: 16_384,
      handle: (_request, response) => response.send(200, [], "ok"),
      ...more,
    });
  }

  async function open(greeting?: Buffer): Promise<RawClient> {
    const client = await RawClient.open(engine?.port ?? 0, greeting);
    clients.push(client);
    return client;
  }

  /** An innocent client on a connection of its own is served. */
  async function stillServes(): Promise<void> {
    const client = await open();
    client.send(get(1));
    assert.equal(await client.status(1), "200");
  }

  /** Sends a batch again and again until the server has had enough. @returns the error code of GOAWAY */
  async function flood(client: RawClient, batch: (round: number) => Buffer, rounds = 200): Promise<number> {
    let ended = false;
    void client.closed.then(() => {
      ended = true;
    });
    for (let round = 0; round < rounds && !ended; round++) {
      client.send(batch(round));
      await new Promise(setImmediate);
    }
    return (await client.goAway()).code;
  }

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    engine?.destroy();
    await engine?.close();
    engine = undefined;
  });

  test("requests that are given up in the bytes that they come in are not handled, and too many end the connection", async () => {
    let handled = 0;
    await start({
      handle: (_request, response) => {
        handled++;
        response.send(200, [], "ok");
      },
    });
    const client = await open();
    const code = await flood(client, round => givenUp(1 + 200 * round));
    assert.equal(code, ErrorCode.EnhanceYourCalm);
    // Where a read cuts a request from its end it is begun.
    assert.ok(handled < 100, `${handled} of some thousand were handled`);
    await stillServes();
  });

  test("a connection may have as many requests under way as the listener allows, and no more", async () => {
    const works: ResponseWriter[] = [];
    await start({ maxStreams: 3, handle: (_request, response) => works.push(response) });
    const client = await open();
    for (const stream of [1, 3, 5, 7]) client.send(get(stream));
    assert.equal(await client.resetOf(7), ErrorCode.RefusedStream);
    assert.deepEqual([works.length], [3]);
    for (const work of works.splice(0)) work.send(200, [], "ok");
    assert.equal(await client.status(5), "200");
    client.send(get(9));
    while (works.length === 0) await new Promise(setImmediate);
    works[0]?.send(200, [], "ok");
    assert.equal(await client.status(9), "200");
  });

  test("a connection ends where its client gives up more requests than are configured, and not before", async () => {
    await start({ maxResets: 10, handle: (_request, response) => response.send(200, [], "ok") });
    const client = await open();
    const giveUp = (stream: number): void => {
      client.send(get(stream));
      client.send(frame(FrameType.RstStream, 0, stream, cancel));
    };
    for (let stream = 1; stream < 2 * 9; stream += 2) giveUp(stream);
    client.send(frame(FrameType.Ping, 0, 0, Buffer.alloc(8)));
    await client.seen(each => each.type === FrameType.Ping);
    assert.equal(client.frames.filter(each => each.type === FrameType.GoAway).length, 0);
    const code = await flood(client, round => givenUp(101 + 200 * round));
    assert.equal(code, ErrorCode.EnhanceYourCalm);
    await stillServes();
  });

  test("requests that were given up count as concurrent as long as their work goes on", async () => {
    const works: ResponseWriter[] = [];
    let most = 0;
    await start({
      handle: (_request, response) => {
        works.push(response);
        most = Math.max(most, works.length);
      },
    });
    const client = await open();
    let refused = 0;
    for (let stream = 1; stream < 2 * 300; stream += 2) {
      client.send(get(stream));
      while (works.length + refused < (stream + 1) / 2) {
        await new Promise(setImmediate);
        refused = client.frames.filter(each => each.type === FrameType.RstStream).length;
      }
      if (works.length === (stream + 1) / 2) client.send(frame(FrameType.RstStream, 0, stream, cancel));
    }
    assert.equal(most, 128);
    assert.equal(refused, 300 - 128);
    assert.equal(await client.resetOf(599), ErrorCode.RefusedStream);
    for (const work of works) work.send(200, [], "late");
    client.send(get(601));
    while (works.length < 129) await new Promise(setImmediate);
    works[128]?.send(200, [], "ok");
    assert.equal(await client.status(601), "200");
  });

  test("streams beyond the limit that is announced are refused, and may be sent again", async () => {
    const works: ResponseWriter[] = [];
    await start({ handle: (_request, response) => void works.push(response) });
    const client = await open();
    const greeting = await client.seen(each => each.type === FrameType.Settings && each.payload.length > 0);
    const entries = Array.from({ length: greeting.payload.length / 6 }, (_, index) => [
      greeting.payload.readUInt16BE(6 * index),
      greeting.payload.readUInt32BE(6 * index + 2),
    ]);
    assert.deepEqual(
      entries.find(([id]) => id === 3),
      [3, 128],
    );
    for (let stream = 1; stream <= 257; stream += 2) client.send(get(stream));
    assert.equal(await client.resetOf(257), ErrorCode.RefusedStream);
    assert.equal(works.length, 128);
    for (const work of works) work.send(200, [], "ok");
    assert.equal(await client.content(255), "ok");
  });

  test("a header block without end in CONTINUATION ends the connection before it is kept", async () => {
    await start();
    const client = await open();
    const part = frame(FrameType.Continuation, 0, 1, Buffer.alloc(16_000, 0x82));
    client.send(frame(FrameType.Headers, Flag.EndStream, 1, block(getFields())));
    assert.equal(await flood(client, () => part), ErrorCode.EnhanceYourCalm);
    await stillServes();
  });

  test("a flood of empty CONTINUATION ends the connection", async () => {
    await start();
    const client = await open();
    client.send(frame(FrameType.Headers, Flag.EndStream, 1, block(getFields())));
    const part = Buffer.concat(Array(1000).fill(frame(FrameType.Continuation, 0, 1)));
    assert.equal(await flood(client, () => part), ErrorCode.EnhanceYourCalm);
    await stillServes();
  });

  for (const [what, one] of Object.entries({
    SETTINGS: settings([4, 65_535]),
    PING: frame(FrameType.Ping, 0, 0, Buffer.alloc(8)),
    "acknowledgements of SETTINGS": frame(FrameType.Settings, Flag.Ack, 0),
    "acknowledgements of PING": frame(FrameType.Ping, Flag.Ack, 0, Buffer.alloc(8)),
    PRIORITY: frame(FrameType.Priority, 0, 1, Buffer.alloc(5)),
    "frames of an unknown type": frame(0x77, 0, 0, Buffer.alloc(1)),
    "WINDOW_UPDATE of the connection": frame(FrameType.WindowUpdate, 0, 0, uint32(1)),
  })) {
    test(`a flood of ${what} ends the connection`, async () => {
      await start();
      const client = await open();
      const batch = Buffer.concat(Array(1000).fill(one));
      assert.equal(await flood(client, () => batch), ErrorCode.EnhanceYourCalm);
      await stillServes();
    });
  }

  for (const [what, one] of Object.entries({
    "empty DATA": frame(FrameType.Data, 0, 1),
    "DATA that is all padding": frame(FrameType.Data, Flag.Padded, 1, Buffer.from([0])),
  })) {
    test(`a flood of ${what} ends the connection`, async () => {
      await start({
        handle: (request, response) => {
          if (request.hasBody) request.stream(1 << 20).start(ignoring);
          else response.send(200, [], "ok");
        },
      });
      const client = await open();
      client.send(post(1));
      const batch = Buffer.concat(Array(1000).fill(one));
      assert.equal(await flood(client, () => batch), ErrorCode.EnhanceYourCalm);
      await stillServes();
    });
  }

  test("a flood of malformed requests ends the connection", async () => {
    await start();
    const client = await open();
    const code = await flood(client, round =>
      Buffer.concat(
        Array.from({ length: 100 }, (_, index) => get(1 + 200 * round + 2 * index, { connection: "close" })),
      ),
    );
    assert.equal(code, ErrorCode.EnhanceYourCalm);
    await stillServes();
  });

  test("a small block that means a list of many megabytes gets 431, its fields are not kept", async () => {
    let handled = 0;
    await start({
      handle: (_request, response) => {
        handled++;
        response.send(200, [], "ok");
      },
    });
    const client = await open();
    // A literal that goes to the dynamic table (RFC 7541 §6.2.1), then its index 16,000 times.
    const literal = block([["x", "y".repeat(3900)]]);
    literal[0] = 0x40;
    const bomb = Buffer.concat([block(getFields()), literal, Buffer.alloc(12_000, 0xbe)]);
    client.send(frame(FrameType.Headers, endHeaders, 1, bomb));
    assert.equal(await client.status(1), "431");
    assert.equal(handled, 0);
    client.send(get(3));
    assert.equal(await client.status(3), "200");
  });

  test("many fields without bytes are limited as if each had 32", async () => {
    await start();
    const client = await open();
    const fields = Buffer.concat([block(getFields()), block(Array(1000).fill(["a", ""]))]);
    client.send(frame(FrameType.Headers, endHeaders, 1, fields));
    assert.equal(await client.status(1), "431");
  });

  test("a window that grows beyond 2^31-1 is an error of the stream, or of the connection", async () => {
    await start({ handle: (_request, response) => void response.open(200, []) });
    const client = await open();
    const most = uint32(0x7fff_ffff);
    client.send(get(1));
    assert.equal(await client.status(1), "200");
    client.send(frame(FrameType.WindowUpdate, 0, 1, most));
    assert.equal(await client.resetOf(1), ErrorCode.FlowControlError);
    client.send(frame(FrameType.WindowUpdate, 0, 0, most));
    assert.equal((await client.goAway()).code, ErrorCode.FlowControlError);
    await client.closed;
  });

  test("a client that never opens its window keeps no more than its responses, and others of it wait", async () => {
    let handled = 0;
    await start({
      handle: (_request, response) => {
        handled++;
        response.send(200, [], Buffer.alloc(256 * 1024));
      },
    });
    const client = await open(Buffer.concat([preface, settings([4, 0])]));
    for (let stream = 1; stream < 200; stream += 2) {
      client.send(get(stream));
      if (stream < 10) assert.equal(await client.status(stream), "200");
    }
    client.send(frame(FrameType.Ping, 0, 0, Buffer.alloc(8)));
    await client.seen(each => each.type === FrameType.Ping);
    assert.ok(handled < 8, `${handled} were handled`);
    client.send(settings([4, 1 << 20]), frame(FrameType.WindowUpdate, 0, 0, uint32(1 << 30)));
    assert.equal((await client.content(199)).length, 256 * 1024);
    assert.equal(handled, 100);
  });

  test("a response that is left unread for the time of a request is reset, and its writer is notified", async () => {
    let cancelled = false;
    await start({
      requestTimeout: 1000,
      handle: (request, response) => {
        request.cancellation.listen(() => {
          cancelled = true;
        });
        response.open(200, []).write(Buffer.alloc(1000));
      },
    });
    const client = await open(Buffer.concat([preface, settings([4, 10])]));
    client.send(get(1));
    assert.equal(await client.resetOf(1), ErrorCode.Cancel);
    assert.ok(cancelled);
  });

  test("a socket that is not read ends after the time of a request, with all that is on it", async () => {
    let write: (() => void) | undefined;
    const ended = new Promise<void>(resolve => {
      void start({
        requestTimeout: 1000,
        handle: (request, response) => {
          const writer = response.open(200, []);
          const chunk = Buffer.alloc(1 << 20);
          write = () => {
            while (writer.write(chunk));
          };
          writer.onDrain(write);
          write();
          request.cancellation.listen(resolve);
        },
      }).then(async () => {
        const wide = Buffer.concat([
          preface,
          settings([4, 0x7fff_ffff]),
          frame(8, 0, 0, uint32(0x7000_0000)),
        ]);
        const client = await open(wide);
        client.socket.pause();
        client.send(get(1));
      });
    });
    await ended;
  });

  test("a client that says nothing, half a preface, or no SETTINGS is left after the time of a request", async () => {
    await start({ requestTimeout: 1000 });
    const greetings = [Buffer.alloc(0), preface.subarray(0, 10), preface];
    for (const client of await Promise.all(greetings.map(greeting => open(greeting)))) await client.closed;
  });

  test("a header block that does not end in the time of a request ends the connection", async () => {
    await start({ requestTimeout: 1000 });
    const client = await open();
    client.send(frame(FrameType.Headers, Flag.EndStream, 1, block(getFields())));
    await client.closed;
  });

  test("unread bytes of bodies are bounded for the whole connection", async () => {
    const requests: InboundRequest[] = [];
    await start({ handle: request => void requests.push(request) });
    const client = await open();
    for (let stream = 1; stream < 256; stream += 2) client.send(post(stream));
    const full = Buffer.alloc(16_384);
    let sent = 0;
    for (let stream = 1; stream < 256; stream += 2) {
      for (let index = 0; index < 4; index++, sent += full.length)
        client.send(frame(FrameType.Data, 0, stream, full));
    }
    client.send(frame(FrameType.Ping, 0, 0, Buffer.alloc(8)));
    await client.seen(each => each.type === FrameType.Ping);
    assert.equal(sent, 8 << 20);
    const granted = client.frames
      .filter(each => each.type === FrameType.WindowUpdate)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535);
    assert.ok(granted <= 12 << 20, `${granted} bytes are let in`);
    assert.equal(
      client.frames.filter(each => each.type === FrameType.WindowUpdate && each.stream !== 0).length,
      0,
    );
  });

  test("frames that come behind our own reset of a stream are passed over; others of ended streams are not", async () => {
    await start({ handle: (_request, response) => response.abandon() });
    const client = await open();
    client.send(post(1));
    assert.equal(await client.resetOf(1), ErrorCode.InternalError);
    const data = frame(FrameType.Data, Flag.EndStream, 1, Buffer.from("late"));
    client.send(
      data,
      frame(FrameType.WindowUpdate, 0, 1, uint32(5)),
      frame(FrameType.RstStream, 0, 1, cancel),
    );
    client.send(get(3));
    assert.equal(await client.resetOf(3), ErrorCode.InternalError);
    client.send(frame(FrameType.Data, 0, 3, Buffer.from("late")));
    await client.seen(
      each => each.type === FrameType.RstStream && each.payload.readUInt32BE(0) === ErrorCode.StreamClosed,
    );
  });
});

const ignoring = { chunk: () => undefined, end: () => undefined, fail: () => undefined };
