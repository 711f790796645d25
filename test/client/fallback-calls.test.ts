import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Client } from "../../clients/js/src/index.js";
import { engineUnderTest } from "../engine.js";
import { startTicks, startTicksGateway, type TicksBackend } from "../streams/ticks.js";
import { type HttpProxy, startHttpProxy } from "./http-proxy.js";
import { connectTo, fallbacks, served } from "./members.js";

interface Tick {
  readonly seq: string;
  readonly text: string;
}

const watch = "test.v1.Ticks/Watch";

/** Reads a stream to its end. */
async function read(client: Client, request: object): Promise<readonly Tick[]> {
  const ticks: Tick[] = [];
  for await (const tick of client.stream<Tick>(watch, { room: "x", ...request })) ticks.push(tick);
  return ticks;
}

const numbersTo = (last: number): string[] => Array.from({ length: last }, (_, index) => `${index + 1}`);

describe(`calls and streams without WebSockets (${engineUnderTest()})`, () => {
  for (const transport of fallbacks) {
    const { name } = transport;

    async function start(
      t: TestContext,
      realtime = "",
    ): Promise<{ ticks: TicksBackend; proxy: HttpProxy; client: Client }> {
      const ticks = await startTicks();
      t.after(() => ticks.close());
      const gateway = await startTicksGateway(
        ticks.port,
        "",
        `realtime: { ${served}, calls: [${watch}]${realtime} }\nserver: { drain: 500ms }\n`,
      );
      t.after(() => gateway.close());
      const proxy = await startHttpProxy(t, gateway.httpPort);
      return { ticks, proxy, client: connectTo(t, proxy.port, { transports: [transport] }) };
    }

    test(`a stream by ${name} brings its events in order and ends, beside others of the same client`, async t => {
      const { client } = await start(t);
      const streams = await Promise.all([1, 20, 300].map(count => read(client, { count })));
      assert.deepEqual(
        streams.map(ticks => ticks.map(({ seq }) => seq)),
        [1, 20, 300].map(numbersTo),
      );
    });

    test(`a stream by ${name} of more than may wait for a client comes whole, as fast as the client takes it`, async t => {
      const { client } = await start(t, ", backpressure: { max: 256KiB, policy: close }");
      const ticks = await read(client, { count: 1000, size: 4096 });
      assert.deepEqual(
        ticks.map(({ seq }) => seq),
        numbersTo(1000),
      );
      assert.ok(ticks.every(({ text }) => text.length === 4096));
      assert.equal(client.state.state, "open");
    });

    test(`a stream by ${name} that fails brings its events and then the status of the backend`, async t => {
      const { client } = await start(t);
      const seen: string[] = [];
      const reading = async (): Promise<void> => {
        for await (const { seq } of client.stream<Tick>(watch, { room: "x", count: 3, fail: 9 }))
          seen.push(seq);
      };
      await assert.rejects(reading(), { code: 9, reason: "FAILED_PRECONDITION", message: "failed after 3" });
      assert.deepEqual(seen, numbersTo(3));
    });

    test(`a stream by ${name} is cancelled at the backend when its reader leaves, aborts or closes the client`, async t => {
      const { ticks, client } = await start(t);
      const request = { room: "x", count: 2, hang: true };
      for await (const { seq } of client.stream<Tick>(watch, request)) if (seq === "2") break;
      await ticks.onCancelled();
      ticks.cancelled = 0;
      const abort = new AbortController();
      const aborted = async (): Promise<void> => {
        for await (const { seq } of client.stream<Tick>(watch, request, { signal: abort.signal }))
          if (seq === "2") abort.abort(new Error("enough"));
      };
      await assert.rejects(aborted(), { message: "enough" });
      await ticks.onCancelled();
      ticks.cancelled = 0;
      const closed = async (): Promise<void> => {
        for await (const { seq } of client.stream<Tick>(watch, request)) if (seq === "2") client.close();
      };
      await assert.rejects(closed(), { reason: "CONNECTION_LOST" });
      await ticks.onCancelled();
    });

    test(`a stream by ${name} whose first event does not come in time is cancelled`, async t => {
      const { ticks, client } = await start(t);
      const late = async (): Promise<void> => {
        const stream = client.stream(watch, { room: "x", hang: true }, { timeout: 200 });
        for await (const _ of stream) assert.fail("an event has come");
      };
      await assert.rejects(late(), { reason: "TIMEOUT" });
      await ticks.onCancelled();
    });

    test(`a stream by ${name} is called once and brings each event once where responses are lost`, async t => {
      const { ticks, proxy, client } = await start(t);
      await read(client, { count: 1 });
      ticks.received.length = 0;
      proxy.lose("POST", 2);
      proxy.lose("GET poll", 2);
      const seen = await read(client, { count: 500 });
      assert.deepEqual(
        seen.map(({ seq }) => seq),
        numbersTo(500),
      );
      assert.equal(ticks.received.length, 1);
    });

    test(`a stream by ${name} whose connection is lost fails as uncertain and is not called again`, async t => {
      const { ticks, proxy, client } = await start(t);
      const lost = async (): Promise<void> => {
        for await (const { seq } of client.stream<Tick>(watch, { room: "x", count: 2, hang: true }))
          if (seq === "2") proxy.cut();
      };
      await assert.rejects(lost(), { reason: "CONNECTION_LOST", uncertain: true });
      proxy.restore();
      const [again] = await read(client, { count: 1 });
      assert.equal(again?.text, "tick 1");
      assert.equal(ticks.received.length, 2);
      if (name === "sse") await ticks.onCancelled();
    });

    test(`a call by ${name} of a method that streams, or that is not named in calls, is refused`, async t => {
      const { client } = await start(t);
      await assert.rejects(client.call(watch, { room: "x", count: 2 }), { reason: "NOT_UNARY" });
      await assert.rejects(client.call("test.v1.Ticks/Find", { room: "x" }), {
        reason: "METHOD_NOT_CALLABLE",
      });
    });
  }
});
