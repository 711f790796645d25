import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { ChannelClosed, ProcessChannel } from "../../src/workers/channel.js";
import { bytes, requestTopic, structured, topic } from "../../src/workers/topic.js";

describe("the channel between the primary and a worker", () => {
  const server = createServer({ noDelay: true });
  const channels: ProcessChannel[] = [];
  const failures: unknown[] = [];

  async function pair(): Promise<[ProcessChannel, ProcessChannel, Socket]> {
    const { port } = server.address() as { port: number };
    const accepted = once(server, "connection") as Promise<[Socket]>;
    const socket = connect(port, "127.0.0.1");
    const made = [socket, (await accepted)[0]].map(
      each => new ProcessChannel(each, error => failures.push(error)),
    );
    channels.push(...made);
    return [made[0] as ProcessChannel, made[1] as ProcessChannel, socket];
  }

  before(async () => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(async () => {
    for (const channel of channels) channel.close();
    await Promise.all(channels.map(({ closed }) => closed));
    server.close();
    await once(server, "close");
  });

  it("messages arrive whole and in order, whatever their sizes", async () => {
    const [left, right] = await pair();
    const blob = topic("blob", bytes);
    const fence = requestTopic<null, null>("fence");
    const arrived: Buffer[] = [];
    right.onMessage(blob, payload => arrived.push(Buffer.from(payload)));
    right.onRequest(fence, () => null);
    const sizes = fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 60_000, max: 200_000 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(sizes, { maxLength: 20 }), async lengths => {
        arrived.length = 0;
        const sent = lengths.map((length, index) => Buffer.alloc(length, index + 1));
        for (const payload of sent) assert.equal(left.send(blob, payload), true);
        await left.request(fence, null);
        assert.deepEqual(
          arrived.map(payload => [payload.length, payload[0], payload.at(-1)]),
          sent.map(payload => [payload.length, payload[0], payload.at(-1)]),
        );
      }),
      { numRuns: 30 },
    );
  });

  it("requests of both sides are under way at once, and each gets its own response", async () => {
    const [left, right] = await pair();
    const double = requestTopic<number, number>("double");
    const waiting: (() => void)[] = [];
    right.onRequest(double, value => new Promise(resolve => waiting.push(() => resolve(2 * value))));
    left.onRequest(double, value => 20 * value);
    const asked = [1, 2, 3].map(value => left.request(double, value));
    assert.equal(await right.request(double, 1), 20);
    for (const answer of waiting.reverse()) answer();
    assert.deepEqual(await Promise.all(asked), [2, 4, 6]);
  });

  it("values of any kind keep their types", async () => {
    const [left, right] = await pair();
    const echo = requestTopic<unknown, unknown>("echo", structured(), structured());
    right.onRequest(echo, value => value);
    const value = { bytes: new Uint8Array([1, 2]), not: Number.NaN, map: new Map([["a", undefined]]) };
    assert.deepEqual(await left.request(echo, value), value);
  });

  it("an error that the other side throws is the failure of the request", async () => {
    const [left, right] = await pair();
    const fail = requestTopic<null, null>("fail");
    right.onRequest(fail, () => {
      throw new Error("no tokens left");
    });
    await assert.rejects(left.request(fail, null), /^Error: no tokens left$/);
    await assert.rejects(left.request(requestTopic("other"), null), /^Error: there is no handler of other$/);
  });

  it("a handler that throws costs its message alone", async () => {
    const [left, right] = await pair();
    const odd = topic<number>("odd");
    const seen: number[] = [];
    right.onMessage(odd, value => {
      if (value === 1) throw new Error("one");
      seen.push(value);
    });
    right.onRequest(requestTopic<null, null>("fence"), () => null);
    for (const value of [1, 2]) left.send(odd, value);
    await left.request(requestTopic("fence"), null);
    assert.deepEqual(seen, [2]);
    assert.match(String(failures.pop()), /one/);
  });

  it("a request without a response in time fails, and its late response is dropped", async () => {
    const [left, right] = await pair();
    const slow = requestTopic<null, null>("slow");
    let answer = (): void => undefined;
    right.onRequest(slow, () => new Promise(resolve => (answer = () => resolve(null))));
    await assert.rejects(left.request(slow, null, 1), /slow: no response within 1 ms/);
    answer();
    right.onRequest(slow, () => null);
    assert.equal(await left.request(slow, null), null);
  });

  it("requests fail when the other side ends, and nothing more is sent", async () => {
    const [left, right, socket] = await pair();
    const never = requestTopic<null, null>("never");
    right.onRequest(never, () => new Promise(() => undefined));
    const asked = left.request(never, null);
    const refused = assert.rejects(asked, ChannelClosed);
    right.close();
    await left.closed;
    await refused;
    assert.equal(left.send(topic("late"), 1), false);
    await assert.rejects(left.request(never, null), ChannelClosed);
    assert.equal(socket.destroyed, true);
  });

  it("messages that a slow reader would pile up are not sent", async () => {
    const [left, right, socket] = await pair();
    const big = topic("big", bytes);
    const payload = Buffer.alloc(1 << 20);
    let sent = 0;
    while (left.send(big, payload)) {
      sent++;
      assert.ok(sent < 200, "everything is taken");
    }
    assert.ok(socket.writableLength > 0);
    await assert.rejects(left.request(requestTopic("more"), null), /reads too slowly/);
    let arrived = 0;
    await new Promise<void>(done => {
      right.onMessage(big, () => {
        if (++arrived === sent) done();
      });
    });
    assert.equal(left.send(big, payload), true);
  });
});
