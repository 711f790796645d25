import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { describe, it } from "node:test";
import { send } from "../gateway/harness.js";
import { serveTicks, startTicks, startTicksGateway } from "./ticks.js";

const one = '{"room":"a","seq":"1","text":"tick 1"}';
const two = '{"room":"a","seq":"2","text":"tick 2"}';
const error = '{"error":{"code":5,"reason":"NOT_FOUND","message":"failed after 2","details":[]}}';

const forms = [
  ["application/json", "application/json", `[${one},${two}]`, `[${one},${two},${error}]`, "[]"],
  ["application/x-ndjson", "application/x-ndjson", `${one}\n${two}\n`, `${one}\n${two}\n${error}\n`, ""],
  [
    "text/event-stream",
    "text/event-stream",
    `:\n\ndata:${one}\n\ndata:${two}\n\n`,
    `:\n\ndata:${one}\n\ndata:${two}\n\nevent:error\ndata:${error}\n\n`,
    ":\n\n",
  ],
] as const;

/** A response that is read piece by piece. */
async function open(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const sent = request(url, { headers });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return response;
}

async function text(response: AsyncIterable<Buffer>): Promise<string> {
  let all = "";
  for await (const chunk of response) all += String(chunk);
  return all;
}

/** Reads until the text has come. */
async function until(response: IncomingMessage, expected: string): Promise<string> {
  let all = "";
  while (!all.includes(expected)) {
    const [chunk] = (await once(response, "data")) as [Buffer];
    all += String(chunk);
  }
  return all;
}

describe("a server stream over REST", () => {
  const ticks = serveTicks(
    "metadata: { response: [etag, x-room] }, methods: { Find: { stream: grpc-gateway, timeout: 300ms } }",
  );

  for (const [accept, contentType, whole, failed, empty] of forms) {
    it(`a server stream over REST is ${contentType} for accept: ${accept}`, async () => {
      const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=2`, { headers: { accept } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("content-type"), contentType);
      assert.equal(await response.text(), whole);
    });

    it(`a server stream over REST without messages has no elements in ${contentType}`, async () => {
      const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks`, { headers: { accept } });
      assert.deepEqual([response.status, await response.text()], [200, empty]);
    });

    it(`a server stream over REST that fails after its first message ends with the error in ${contentType}`, async () => {
      const url = `${ticks.gateway.url}/v1/rooms/a/ticks?count=2&fail=5`;
      const response = await fetch(url, { headers: { accept } });
      assert.deepEqual([response.status, await response.text()], [200, failed]);
    });

    it(`a server stream over REST that fails before its first message is an ordinary error for ${accept}`, async () => {
      const { status, json } = await send(`${ticks.gateway.url}/v1/rooms/a/ticks?fail=5`, {
        headers: { accept },
      });
      assert.deepEqual([status, json.reason], [404, "NOT_FOUND"]);
    });
  }

  it("a server stream over REST has the status 200 as soon as the backend sends initial metadata, and the metadata as headers", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?early=true&fail=5`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-room"), "a");
    assert.match(await response.text(), /^\[\{"error":\{"code":5,/);
  });

  it("a server stream over REST is lines of grpc-gateway where the configuration makes them the default", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a:find`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"count":2,"fail":5}',
    });
    const lines = `{"result":${one}}\n{"result":${two}}\n${error}\n`;
    assert.deepEqual(
      [response.headers.get("content-type"), await response.text()],
      ["application/json", lines],
    );
  });

  it("a server stream over REST is refused with 406 where the client accepts none of its forms", async () => {
    const { status, json } = await send(`${ticks.gateway.url}/v1/rooms/a/ticks`, {
      headers: { accept: "text/html" },
    });
    assert.deepEqual([status, json.reason], [406, "NOT_ACCEPTABLE"]);
  });

  it("a server stream over REST takes the form with the greatest weight of Accept", async () => {
    const headers = { accept: "text/html, application/json;q=0.5, application/x-ndjson;q=0.9" };
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1`, { headers });
    assert.equal(response.headers.get("content-type"), "application/x-ndjson");
    await response.body?.cancel();
  });

  it("a server stream over REST sends each message when it comes, not when the stream ends", async () => {
    const response = await open(`${ticks.gateway.url}/v1/rooms/a/ticks?count=2&hang=true`, {
      accept: "application/x-ndjson",
    });
    assert.equal(await until(response, two), `${one}\n${two}\n`);
    response.destroy();
  });

  it("a server stream over REST is cancelled at the backend when its client leaves", async () => {
    ticks.backend.cancelled = 0;
    const response = await open(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1&hang=true`);
    await until(response, one);
    response.destroy();
    await ticks.backend.onCancelled();
    const { reason } = await ticks.gateway.logged(({ status }) => status === 499);
    assert.equal(reason, "CLIENT_CLOSED");
  });

  it("a server stream over REST stops the backend by flow control while its client does not read", async () => {
    ticks.backend.written = 0;
    const response = await open(`${ticks.gateway.url}/v1/rooms/a/ticks?count=20000&size=10000`);
    await once(response, "readable");
    let before = -1;
    while (before !== ticks.backend.written) {
      before = ticks.backend.written;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
    assert.ok(before < 5000, `${before} messages of 10 KB were written to a client that does not read`);
    const length = (await text(response)).length;
    assert.ok(length > 200_000_000, `${length} bytes came`);
  });

  it("a server stream over REST of HttpBody is raw bytes with the content type of its first message", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/files/a?count=3`);
    assert.equal(response.headers.get("content-type"), "image/png");
    assert.equal(await response.text(), "123");
  });

  it("a server stream over REST of HttpBody that fails is cut off, so that it cannot be taken for complete", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/files/a?count=3&fail=13`);
    assert.equal(response.status, 200);
    await assert.rejects(response.text());
  });

  it("a server stream over REST of HttpBody is 304 where the client has what the backend's etag names", async () => {
    ticks.backend.cancelled = 0;
    const headers = { "if-none-match": 'W/"v0", "v1"' };
    const response = await fetch(`${ticks.gateway.url}/v1/files/a?count=1&early=true&hang=true`, { headers });
    assert.deepEqual([response.status, response.headers.get("etag")], [304, '"v1"']);
    await ticks.backend.onCancelled();
  });

  it("a server stream over REST responds to HEAD with its head alone", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1`, { method: "HEAD" });
    assert.deepEqual([response.status, await response.text()], [200, ""]);
  });

  it("a server stream over REST ends in band at the deadline of its method, and at the one of the client's request", async () => {
    const body = '{"count":1,"hang":true}';
    const headers = { "content-type": "application/json" };
    const own = await fetch(`${ticks.gateway.url}/v1/rooms/a:find`, { method: "POST", headers, body });
    assert.match(await own.text(), /\{"error":\{"code":4,"reason":"UPSTREAM_TIMEOUT"/);
    const asked = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1&hang=true`, {
      headers: { "x-request-timeout": "200ms" },
    });
    assert.match(await asked.text(), /,\{"error":\{"code":4,"reason":"UPSTREAM_TIMEOUT".*\}\}\]$/);
  });

  it("a server stream over REST counts its messages, and its duration does not count as latency", async () => {
    const labels = 'route="/v1/rooms/{room}/ticks",method="GET"';
    const scrape = async (): Promise<string> => (await fetch(`${ticks.gateway.admin}/metrics`)).text();
    const latencies = (metrics: string) =>
      metrics
        .split("\n")
        .find(line => line.startsWith(`protogate_http_request_duration_seconds_count{${labels}`));
    const before = latencies(await scrape());
    await (await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=7`)).text();
    const metrics = await scrape();
    assert.match(metrics, new RegExp(`protogate_streams_ended_total\\{${labels},reason="ok"\\} [1-9]`));
    assert.match(
      metrics,
      new RegExp(`protogate_stream_messages_total\\{${labels},direction="response"\\} [1-9]`),
    );
    assert.match(metrics, new RegExp(`protogate_http_requests_total\\{${labels},code="200",`));
    assert.equal(latencies(metrics), before);
  });
});

describe("server-sent events", () => {
  const ticks = serveTicks(
    "methods: { Watch: { stream: sse, sse: { id: seq, event: kind, last_event_id: since, retry: 3s, heartbeat: 100ms } } }",
  );

  it("carry the id and the retry time that the configuration names", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1`);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.equal(response.headers.get("cache-control"), "no-cache");
    assert.equal(await response.text(), `retry:3000\n\nid:1\nevent:\ndata:${one}\n\n`);
  });

  it("server-sent events go on behind Last-Event-ID, which beats the parameter of the first request", async () => {
    const response = await fetch(`${ticks.gateway.url}/v1/rooms/a/ticks?count=1&since=1`, {
      headers: { "last-event-id": "41" },
    });
    assert.match(await response.text(), /\nid:42\n/);
  });

  it("server-sent events refuse a Last-Event-ID that is no value of its field", async () => {
    const { status, json } = await send(`${ticks.gateway.url}/v1/rooms/a/ticks`, {
      headers: { "last-event-id": "x" },
    });
    assert.deepEqual([status, json.reason], [400, "INVALID_VALUE"]);
  });

  it("begin with 200 and a comment after one heartbeat, while the backend is silent", async () => {
    const response = await open(`${ticks.gateway.url}/v1/rooms/a/ticks?hang=true`);
    assert.equal(response.statusCode, 200);
    assert.equal(await until(response, ":\n\n:\n\n".slice(0, 3)), "retry:3000\n\n:\n\n");
    response.destroy();
  });
});

describe("streams of a gateway that ends or reloads", () => {
  it("streams of a gateway that ends or reloads go on while it drains, then end in band", async () => {
    const backend = await startTicks();
    const gateway = await startTicksGateway(backend.port, "", "server: { drain: 300ms }");
    const response = await open(`${gateway.url}/v1/rooms/a/ticks?count=1&hang=true`);
    await until(response, one);
    const rest = text(response);
    await gateway.close();
    assert.match(await rest, /^,\{"error":\{"code":14,"reason":"SHUTTING_DOWN".*\}\}\]$/);
    await backend.close();
  });

  it("streams of a gateway that ends or reloads go on over a reload, and end in band when the time to drain is over", async () => {
    const backend = await startTicks();
    const gateway = await startTicksGateway(backend.port, "", "server: { drain: 300ms }");
    const response = await open(`${gateway.url}/v1/rooms/a/ticks?count=1&hang=true`);
    await until(response, one);
    const rest = text(response);
    await gateway.reload();
    assert.equal((await fetch(`${gateway.url}/v1/rooms/a/ticks?count=1`)).status, 200);
    assert.match(await rest, /^,\{"error":\{"code":14,"reason":"SHUTTING_DOWN".*\}\}\]$/);
    await gateway.close();
    await backend.close();
  });
});
