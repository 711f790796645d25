import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, it, test } from "node:test";
import { Registry } from "prom-client";
import { WebSocket } from "ws";
import { createLogger } from "../../../src/telemetry/logger.js";
import { SpanExporter, spanCounter } from "../../../src/telemetry/tracing/exporter.js";
import { signShared } from "../../auth/tokens.js";
import { Workspace } from "../../config/workspace.js";
import { echoProto } from "../../gateway/echo.js";
import {
  type Backend,
  echo,
  send,
  startBackend,
  startTestGateway,
  type TestGateway,
} from "../../gateway/harness.js";
import { type Collector, type ReceivedSpan, startCollector } from "./collector.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callerSpan = "b7ad6b7169203331";
const secret = "0123456789abcdef0123456789abcdef";
const sampled = { traceparent: `00-${traceId}-${callerSpan}-01`, tracestate: "vendor=1" };

describe("traces of requests", () => {
  let backend: Backend;
  let collector: Collector;
  let gateway: TestGateway;
  let http: ReturnType<typeof createServer>;
  let failures = 0;
  const seen: Record<string, string | string[] | undefined>[] = [];

  before(async () => {
    collector = await startCollector();
    backend = await startBackend({
      "/test.v1.Echo/Get": (call, reply) => {
        if (failures-- > 0) reply({ code: 14, details: "not now" });
        else echo(call, reply);
      },
      "/test.v1.Echo/Peek": (_call, reply) => reply({ code: 5, details: "no such item" }),
      "/test.v1.Echo/Create": (_call, reply) => reply({ code: 13, details: "broken" }),
    });
    http = createServer((request, response) => {
      seen.push(request.headers);
      response.end("fine");
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
  });
  after(async () => {
    http.close();
    http.closeAllConnections();
    await backend.close();
    await collector.close();
  });
  afterEach(() => {
    collector.spans.length = seen.length = backend.calls.length = 0;
    failures = 0;
  });

  async function start(sample: number, more = "", log = ""): Promise<void> {
    gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams:
  echo: { targets: ["127.0.0.1:${backend.port}"], retry: { attempts: 2, on: [UNAVAILABLE], backoff: 1ms, budget: 1 } }
  old: { protocol: http, targets: ["http://127.0.0.1:${(http.address() as AddressInfo).port}"] }
services: [{ service: test.v1.Echo, upstream: echo, methods: { Rename: { auth: [users] } } }]
auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }
http: { proxy: [{ prefix: /old, upstream: old }] }
telemetry: { log: { level: info${log} }, tracing: { otlp: "${collector.url}", sample: ${sample}, headers: { x-key: abc } } }
${more}`,
      { "protos/echo.proto": echoProto },
    );
  }

  /** Ends the gateway, which sends what it has recorded. */
  async function spans(): Promise<readonly ReceivedSpan[]> {
    await gateway.close();
    return collector.spans;
  }

  const post = (path: string) =>
    send(`${gateway.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });

  const named = (all: readonly ReceivedSpan[], name: string): ReceivedSpan => {
    const found = all.find(span => span.name === name);
    assert.ok(found !== undefined, `${name} is not among ${all.map(each => each.name).join(", ")}`);
    return found;
  };

  it("a request of a sampled trace has spans of the request, its transcoding and its attempt, and goes on with the attempt's id", async () => {
    await start(0);
    const answer = await send(`${gateway.url}/v1/items/7`, { headers: sampled });
    assert.equal(answer.status, 200);
    const line = await gateway.logged(each => each.route === "/v1/items/{id}");
    assert.equal(line.trace_id, traceId);
    const all = await spans();
    assert.deepEqual(all.map(({ name }) => name).sort(), [
      "GET /v1/items/{id}",
      "test.v1.Echo/Get",
      "transcode request",
      "transcode response",
    ]);
    const server = named(all, "GET /v1/items/{id}");
    const attempt = named(all, "test.v1.Echo/Get");
    assert.ok(all.every(span => span.traceId === traceId && span.traceState === "vendor=1" && !span.error));
    assert.deepEqual([server.kind, server.parentId], ["SERVER", callerSpan]);
    for (const other of all) if (other !== server) assert.equal(other.parentId, server.spanId);
    assert.equal(attempt.kind, "CLIENT");
    assert.ok(server.nanoseconds >= attempt.nanoseconds && attempt.nanoseconds > 0n);
    const { attributes } = server;
    assert.equal(attributes["http.request.method"], "GET");
    assert.equal(attributes["http.route"], "/v1/items/{id}");
    assert.equal(attributes["http.response.status_code"], 200);
    assert.equal(attributes["url.path"], "/v1/items/7");
    assert.deepEqual(
      [attributes["server.address"], attributes["server.port"]],
      ["127.0.0.1", gateway.httpPort],
    );
    assert.deepEqual(
      [
        "rpc.system",
        "rpc.service",
        "rpc.method",
        "rpc.grpc.status_code",
        "server.address",
        "server.port",
      ].map(name => attempt.attributes[name]),
      ["grpc", "test.v1.Echo", "Get", 0, "127.0.0.1", backend.port],
    );
    assert.equal(server.resource["service.name"], "protogate");
    const { metadata } = backend.calls[0]!;
    assert.deepEqual(metadata.get("traceparent"), [`00-${traceId}-${attempt.spanId}-01`]);
    assert.deepEqual(metadata.get("tracestate"), ["vendor=1"]);
    assert.deepEqual(
      collector.requests.map(({ path, headers }) => [path, headers["content-type"], headers["x-key"]]).at(-1),
      ["/v1/traces", "application/x-protobuf", "abc"],
    );
  });

  it("the trace of a caller that does not sample it passes as it is, and one that begins here is recorded by the share", async () => {
    await start(0);
    const unsampled = sampled.traceparent.replace(/01$/, "00");
    await send(`${gateway.url}/v1/items/7`, { headers: { traceparent: unsampled } });
    await send(`${gateway.url}/v1/items/7`, {});
    assert.deepEqual(await spans(), []);
    assert.deepEqual(
      backend.calls.map(({ metadata }) => metadata.get("traceparent")),
      [[unsampled], []],
    );
    await start(1);
    await send(`${gateway.url}/v1/items/7`, { headers: { traceparent: unsampled } });
    await send(`${gateway.url}/v1/items/8`, { headers: { traceparent: "nonsense" } });
    const all = await spans();
    const server = named(all, "GET /v1/items/{id}");
    assert.equal(all.filter(({ kind }) => kind === "SERVER").length, 1);
    assert.match(server.traceId, /^(?!0{32})[0-9a-f]{32}$/);
    assert.equal(server.parentId, "");
    assert.equal(server.attributes["url.path"], "/v1/items/8");
  });

  it("each attempt of a call that is retried has a span with its outcome", async () => {
    await start(1);
    failures = 1;
    assert.equal((await send(`${gateway.url}/v1/items/7`, {})).status, 200);
    const attempts = (await spans()).filter(({ kind }) => kind === "CLIENT");
    assert.deepEqual(
      attempts.map(({ attributes, error }) => [
        attributes["protogate.attempt"],
        attributes["rpc.grpc.status_code"],
        attributes["error.type"],
        error,
      ]),
      [
        [1, 14, "UNAVAILABLE", true],
        [2, 0, undefined, false],
      ],
    );
    const sent = backend.calls.map(({ metadata }) => String(metadata.get("traceparent")).split("-")[2]);
    assert.deepEqual(
      sent,
      attempts.map(({ spanId }) => spanId),
    );
  });

  it("a fault of the backend is an error of the request's span, what is wrong with the request is none", async () => {
    await start(1);
    assert.equal((await send(`${gateway.url}/v1/peek`, {})).status, 404);
    assert.equal((await post("/v1/items")).status, 500);
    assert.equal((await post("/v1/names/a")).status, 401);
    assert.equal((await send(`${gateway.url}/v1/items/7?count=x`, {})).status, 400);
    assert.equal((await send(`${gateway.url}/nowhere`, {})).status, 404);
    const all = await spans();
    const servers = all.filter(({ kind }) => kind === "SERVER");
    assert.deepEqual(
      servers.map(({ name, error, attributes }) => [
        name,
        error,
        attributes["error.type"] ?? attributes["protogate.reason"],
      ]),
      [
        ["GET /v1/peek", false, "NOT_FOUND"],
        ["POST /v1/items", true, "INTERNAL"],
        ["POST /v1/names/{long_name}", false, "CREDENTIALS_MISSING"],
        ["GET /v1/items/{id}", false, "INVALID_VALUE"],
        ["GET", false, "ROUTE_NOT_FOUND"],
      ],
    );
    const guard = named(all, "guard");
    assert.deepEqual(
      [guard.parentId, guard.error, guard.attributes["protogate.reason"]],
      [servers[2]?.spanId, false, "CREDENTIALS_MISSING"],
    );
  });

  it("a request that is forwarded has a span of its backend, whose id the backend gets", async () => {
    await start(0);
    assert.equal((await send(`${gateway.url}/old/x`, { headers: sampled })).status, 200);
    const all = await spans();
    const forwarding = named(all, "GET");
    assert.deepEqual([forwarding.kind, forwarding.attributes["http.response.status_code"]], ["CLIENT", 200]);
    assert.equal(forwarding.parentId, named(all, "GET /old/**").spanId);
    assert.equal(seen[0]?.traceparent, `00-${traceId}-${forwarding.spanId}-01`);
    assert.equal(seen[0]?.tracestate, "vendor=1");
    assert.equal(forwarding.attributes["server.port"], (http.address() as AddressInfo).port);
  });

  it("a stream has one attempt, which ends with it", async () => {
    await start(1);
    await send(`${gateway.url}/v1/watch`, {});
    const all = await spans();
    const attempt = named(all, "test.v1.Echo/Watch");
    assert.equal(attempt.parentId, named(all, "GET /v1/watch").spanId);
    assert.equal(attempt.attributes["error.type"], "UNIMPLEMENTED");
  });

  it("by option log lines have who called and the endpoint, of calls, streams, other protocols, forwarded requests and sockets", async () => {
    await start(
      0,
      "realtime: { auth: [users], path: /ws, origins: ['*'] }\n",
      ", subject: plain, upstream_address: true",
    );
    const authorization = `Bearer ${await signShared(secret, { sub: "alice" })}`;
    const json = { "content-type": "application/json" };
    const call = (path: string, headers: Record<string, string>): Promise<{ status: number }> =>
      send(`${gateway.url}${path}`, { method: "POST", headers: { ...json, ...headers }, body: "{}" });
    await call("/v1/names/a", { authorization });
    await call("/test.v1.Echo/Rename", { authorization, "connect-protocol-version": "1" });
    await call("/v1/names/a", {});
    await send(`${gateway.url}/v1/items/7`);
    await send(`${gateway.url}/v1/watch`);
    await send(`${gateway.url}/old/x`);
    await send(`${gateway.url}/nowhere`);
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`, { headers: { authorization } });
    await once(socket, "open");
    socket.terminate();
    const lineOf = async (path: string, status?: number): Promise<unknown[]> => {
      const line = await gateway.logged(
        each => each.path === path && (status === undefined || each.status === status),
      );
      return [line.provider, line.subject, line.upstream_address];
    };
    const grpc = `127.0.0.1:${backend.port}`;
    const old = `127.0.0.1:${(http.address() as AddressInfo).port}`;
    assert.deepEqual(await lineOf("/v1/names/a", 501), ["users", "alice", grpc]);
    assert.deepEqual(await lineOf("/test.v1.Echo/Rename"), ["users", "alice", grpc]);
    assert.deepEqual(await lineOf("/v1/names/a", 401), [undefined, undefined, undefined]);
    assert.deepEqual(await lineOf("/v1/items/7"), [undefined, undefined, grpc]);
    assert.deepEqual(await lineOf("/v1/watch"), [undefined, undefined, grpc]);
    assert.deepEqual(await lineOf("/old/x"), [undefined, undefined, old]);
    assert.deepEqual(await lineOf("/nowhere"), [undefined, undefined, undefined]);
    assert.deepEqual(await lineOf("/ws"), ["users", "alice", undefined]);
    assert.ok(!gateway.log.some(line => JSON.stringify(line).includes(authorization.slice(7))));
    await gateway.close();
  });

  it("requests get responses while the collector fails, and lost spans are counted", async () => {
    await start(1);
    collector.status = 400;
    assert.equal((await send(`${gateway.url}/v1/items/7`, {})).status, 200);
    await gateway.logged(line => line.msg === "spans of traces are lost");
    const { text } = await send(`${gateway.admin}/metrics`, {});
    assert.match(text, /^protogate_trace_spans_total\{result="failed"\} 4$/m);
    assert.match(text, /^protogate_trace_spans_total\{result="exported"\} 0$/m);
    collector.status = 200;
    assert.deepEqual(await spans(), []);
  });
});

describe("the exporter of spans", () => {
  const exporter = async (url: string) => {
    const registry = new Registry();
    const lines: string[] = [];
    const log = createLogger("warn", { write: line => lines.push(line) });
    const options = { otlp: url, service: "test", headers: {} };
    const counts = async () => {
      const metric = await registry.getSingleMetric("protogate_trace_spans_total")?.get();
      return Object.fromEntries((metric?.values ?? []).map(({ labels, value }) => [labels.result, value]));
    };
    return { spans: new SpanExporter(options, log, spanCounter(registry)), lines, counts };
  };

  it("spans go in batches as soon as one is full, to the path below the collector's", async () => {
    const collector = await startCollector();
    const { spans, counts } = await exporter(`${collector.url}/otel/`);
    for (let index = 0; index < 600; index++) spans.add(Buffer.from([]));
    await collector.requested(1);
    assert.deepEqual([collector.requests[0]?.path, collector.requests[0]?.spans], ["/otel/v1/traces", 512]);
    await spans.close();
    assert.deepEqual(
      collector.requests.map(request => request.spans),
      [512, 88],
    );
    assert.deepEqual(await counts(), { exported: 600, dropped: 0, failed: 0 });
    await collector.close();
  });

  it("spans are bounded in number and in bytes while the collector is silent, and one line says that they are lost", async () => {
    const collector = await startCollector();
    collector.status = undefined;
    const { spans, lines, counts } = await exporter(collector.url);
    for (let index = 0; index < 9000; index++) spans.add(Buffer.from([]));
    assert.equal((await counts()).dropped, 9000 - 8192);
    const large = await exporter(collector.url);
    for (let index = 0; index < 100; index++) large.spans.add(Buffer.alloc(1 << 20));
    assert.equal((await large.counts()).dropped, 92);
    assert.equal(lines.length, 1);
    await Promise.all([spans.close(1), large.spans.close(1)]);
    assert.deepEqual(await counts(), { exported: 0, dropped: 9000 - 8192, failed: 8192 });
    await collector.close();
  });
});

test("telemetry.tracing takes a collector, a share and headers, and says what is wrong with others", () => {
  const problems = (tracing: string): string =>
    new Workspace()
      .problems(`listeners: { http: { address: ":0" } }\ntelemetry: { tracing: ${tracing} }`)
      .join("\n");
  assert.equal(problems("{ otlp: http://127.0.0.1:4318 }"), "");
  assert.equal(problems("{ otlp: http://127.0.0.1:4318, sample: 0.5, headers: { x-key: abc } }"), "");
  assert.match(problems("{}"), /otlp/);
  assert.match(problems("{ otlp: 127.0.0.1:4318 }"), /expected a URL with http or https/);
  assert.match(problems("{ otlp: http://a, sample: 5 }"), /sample/);
  assert.match(problems("{ otlp: http://a, headers: { a b: x } }"), /headers/);
});
