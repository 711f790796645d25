import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { startTestGateway } from "../../gateway/harness.js";
import { type ReceivedSpan, startCollector } from "../../telemetry/tracing/collector.js";
import { member } from "./member.js";
import { pricesProto, startWatchBackend } from "./watch-backend.js";

/** A gateway that feeds rooms and records a share of its traces. */
async function start(t: TestContext, sample: number) {
  const collector = await startCollector();
  const backend = await startWatchBackend();
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { market: { targets: ["127.0.0.1:${backend.port}"] } }
realtime:
  auth: none
  rooms: [{ match: "price-{symbol}", feed: { upstream: market, method: market.v1.Prices/Watch } }]
telemetry: { tracing: { otlp: "${collector.url}", sample: ${sample} } }
server: { drain: 1s }
`,
    { "protos/prices.proto": pricesProto },
  );
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= gateway.close();
    return closed;
  };
  t.after(async () => {
    await close();
    backend.kill();
    await collector.close();
  });
  const client = await member(t, gateway.realtimePort);
  await backend.until(() => backend.open.length === 1);
  return { backend, collector, client, close };
}

test("the stream that feeds a room is a trace, and what is published from it a linked one with its fan-out", async t => {
  const { backend, collector, client, close } = await start(t, 1);
  backend.price();
  await client.next("receive-message");
  // By the backend, which is an error, and then by the gateway, which is none.
  backend.kill();
  const isFeed = ({ name }: ReceivedSpan) => name === "feed market.v1.Prices/Watch";
  const feed = await collector.received(isFeed);
  assert.deepEqual([feed.kind, feed.parentId, feed.error], ["INTERNAL", "", true]);
  assert.equal(feed.attributes["messaging.destination.name"], "price-ACME");
  await backend.start();
  await backend.until(() => backend.open.length === 1);
  await close();
  const { spans } = collector;
  const call = spans.find(({ parentId }) => parentId === feed.spanId);
  assert.deepEqual([call?.kind, call?.name], ["CLIENT", "market.v1.Prices/Watch"]);
  assert.equal(call?.attributes["protogate.upstream"], "market");
  assert.deepEqual(backend.watches[0]?.call.metadata.get("traceparent"), [
    `00-${feed.traceId}-${call?.spanId}-01`,
  ]);
  const published = spans.find(({ name }) => name === "publish");
  assert.deepEqual(
    [published?.kind, published?.parentId, published?.links, published?.attributes],
    [
      "PRODUCER",
      "",
      [`${feed.traceId} ${feed.spanId}`],
      { "messaging.destination.name": "price-ACME", "messaging.batch.message_count": 1 },
    ],
  );
  const fanOut = spans.find(({ parentId }) => parentId === published?.spanId);
  assert.deepEqual([fanOut?.kind, fanOut?.name], ["CONSUMER", "fan-out"]);
  // As often as the backend was tried in vain, and at last the stream that the gateway has ended.
  const errors = spans.filter(isFeed).map(({ error }) => error);
  assert.deepEqual([errors.length >= 2, errors.indexOf(false)], [true, errors.length - 1]);
});

test("the stream that feeds a room has no traceparent where its trace is not recorded", async t => {
  const { backend, collector, client, close } = await start(t, 0);
  backend.price();
  await client.next("receive-message");
  await close();
  assert.deepEqual(backend.watches[0]?.call.metadata.get("traceparent"), []);
  assert.deepEqual(collector.spans, []);
});
