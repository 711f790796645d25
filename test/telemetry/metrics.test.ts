import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { Histogram, Registry } from "prom-client";
import { metricsFormat, metricText } from "../../src/telemetry/exposition.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { codeLabel, methodLabel } from "../../src/telemetry/route-metrics.js";
import { addUp, metricStates } from "../../src/telemetry/totals.js";

function metricsWith(...buckets: number[]): Metrics {
  return new Metrics({ version: "1.2.3", buckets });
}

/** The sample lines of one metric family. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.text();
  return text
    .split("\n")
    .filter(line => line.startsWith(name) && /^[{ ]|^_(bucket|sum|count)\b/.test(line.slice(name.length)));
}

test("requests are counted by route, method, real HTTP status, gRPC code and service", async () => {
  const metrics = metricsWith(1);
  const route = metrics.route("/v1/{name=messages/*}", "GET", "chat.v1.Messages");
  route.observe(200, 0, 0.1, 0, 10);
  route.observe(200, 0, 0.1, 0, 10);
  route.observe(404, 5, 0.1, 0, 10);
  const labels = (code: number, grpcCode: string) =>
    `{route="/v1/{name=messages/*}",method="GET",code="${code}",grpc_code="${grpcCode}",service="chat.v1.Messages"}`;
  assert.deepEqual(await samples(metrics, "protogate_http_requests_total"), [
    `protogate_http_requests_total${labels(200, "OK")} 2`,
    `protogate_http_requests_total${labels(404, "NOT_FOUND")} 1`,
  ]);
});

test("a route keeps its counts over a reload", async () => {
  const metrics = metricsWith(1);
  metrics.route("/a", "GET", "s").observe(200, 0, 0, 0, 0);
  metrics.route("/a", "GET", "s").observe(200, 0, 0, 0, 0);
  assert.equal(metrics.route("/a", "GET", "s"), metrics.route("/a", "GET", "s"));
  assert.match((await samples(metrics, "protogate_http_requests_total")).join(), / 2$/);
});

test("two services on one template share the histograms of the route", async () => {
  const metrics = metricsWith(1);
  metrics.route("/a", "GET", "s1").observe(200, 0, 0.5, 0, 0);
  metrics.route("/a", "GET", "s2").observe(200, 0, 0.5, 0, 0);
  const [bucket] = await samples(metrics, "protogate_http_request_duration_seconds");
  assert.equal(bucket, `protogate_http_request_duration_seconds_bucket{route="/a",method="GET",le="1"} 2`);
  assert.equal((await samples(metrics, "protogate_http_requests_total")).length, 2);
});

test("histogram buckets are cumulative, their bounds inclusive, and infinity holds all", async () => {
  const metrics = metricsWith(0.1, 0.5);
  const route = metrics.route("/a", "GET", "s");
  for (const seconds of [0.05, 0.1, 0.3, 0.75]) route.observe(200, 0, seconds, 100, 1_000_000);
  const name = "protogate_http_request_duration_seconds";
  assert.deepEqual(await samples(metrics, name), [
    `${name}_bucket{route="/a",method="GET",le="0.1"} 2`,
    `${name}_bucket{route="/a",method="GET",le="0.5"} 3`,
    `${name}_bucket{route="/a",method="GET",le="+Inf"} 4`,
    `${name}_sum{route="/a",method="GET"} 1.2`,
    `${name}_count{route="/a",method="GET"} 4`,
  ]);
  assert.ok(
    (await samples(metrics, "protogate_http_request_size_bytes")).some(line => /_sum\{.*\} 400$/.test(line)),
  );
  assert.ok(
    (await samples(metrics, "protogate_http_response_size_bytes")).some(line =>
      /_sum\{.*\} 4000000$/.test(line),
    ),
  );
});

test("a route without traffic has no series", async () => {
  const metrics = metricsWith(1);
  metrics.route("/a", "GET", "s");
  metrics.upstream("u", "grpc", "/p.S/M");
  assert.deepEqual(await samples(metrics, "protogate_http_request_duration_seconds"), []);
  assert.deepEqual(await samples(metrics, "protogate_upstream_handling_seconds"), []);
});

test("unknown methods share one label, and unknown gRPC codes share one", async () => {
  assert.equal(methodLabel("PATCH"), "PATCH");
  assert.equal(methodLabel("patch"), "other");
  assert.equal(codeLabel(16), "UNAUTHENTICATED");
  for (const code of [17, 1501, -1, 0.5, Number.NaN]) assert.equal(codeLabel(code), "other");

  const metrics = metricsWith(1);
  for (let i = 0; i < 200; i++) metrics.route("<none>", `M${i}`, "<none>").observe(500, 1000 + i, 0, 0, 0);
  assert.deepEqual(await samples(metrics, "protogate_http_requests_total"), [
    `protogate_http_requests_total{route="<none>",method="other",code="500",grpc_code="other",service="<none>"} 200`,
  ]);
});

test("upstream calls are counted when they start, end and are sent again", async () => {
  const metrics = metricsWith(1);
  const call = metrics.upstream("chat", "grpc", "/chat.v1.Rooms/Join");
  assert.equal(metrics.upstream("chat", "grpc", "/chat.v1.Rooms/Join"), call);
  call.started();
  call.retried(14);
  call.resent("refused");
  call.handled(0, 0.2);
  call.started();
  for (let code = 1000; code < 1200; code++) call.handled(code, 0.2);
  const labels = `upstream="chat",protocol="grpc",grpc_service="chat.v1.Rooms",grpc_method="Join"`;
  assert.deepEqual(await samples(metrics, "protogate_upstream_started_total"), [
    `protogate_upstream_started_total{${labels}} 2`,
  ]);
  assert.deepEqual(await samples(metrics, "protogate_upstream_retries_total"), [
    `protogate_upstream_retries_total{${labels},grpc_code="UNAVAILABLE"} 1`,
  ]);
  assert.deepEqual(await samples(metrics, "protogate_upstream_transparent_retries_total"), [
    `protogate_upstream_transparent_retries_total{${labels},reason="refused"} 1`,
  ]);
  assert.deepEqual(await samples(metrics, "protogate_upstream_handled_total"), [
    `protogate_upstream_handled_total{${labels},grpc_code="OK"} 1`,
    `protogate_upstream_handled_total{${labels},grpc_code="other"} 200`,
  ]);
  assert.equal(
    (await samples(metrics, "protogate_upstream_handling_seconds")).at(-1),
    `protogate_upstream_handling_seconds_count{${labels}} 201`,
  );
});

test("endpoint states are read at each scrape and end with their upstream", async () => {
  const metrics = metricsWith(1);
  const name = "protogate_upstream_endpoints";
  metrics.endpointsFrom(() => [["chat", [{ state: "ready" }, { state: "ready" }, { state: "failing" }]]]);
  assert.deepEqual(await samples(metrics, name), [
    `${name}{upstream="chat",state="idle"} 0`,
    `${name}{upstream="chat",state="connecting"} 0`,
    `${name}{upstream="chat",state="ready"} 2`,
    `${name}{upstream="chat",state="failing"} 1`,
    `${name}{upstream="chat",state="unhealthy"} 0`,
  ]);
  metrics.endpointsFrom(() => []);
  assert.deepEqual(await samples(metrics, name), []);
});

test("the gauge of requests in flight counts them between start and end", async () => {
  const metrics = metricsWith(1);
  metrics.requestStarted();
  metrics.requestStarted();
  metrics.requestFinished();
  assert.deepEqual(await samples(metrics, "protogate_http_requests_in_flight"), [
    "protogate_http_requests_in_flight 1",
  ]);
});

test("metrics of reloads have the result, the time of the last success, the hash and the number of bindings", async () => {
  const metrics = metricsWith(1);
  metrics.reloadFailed();
  assert.deepEqual(await samples(metrics, "protogate_config_reloads_total"), [
    `protogate_config_reloads_total{result="success"} 0`,
    `protogate_config_reloads_total{result="failure"} 1`,
  ]);
  assert.deepEqual(await samples(metrics, "protogate_config_last_reload_successful"), [
    "protogate_config_last_reload_successful 0",
  ]);
  assert.deepEqual(await samples(metrics, "protogate_config_info"), []);
  metrics.reloadSucceeded(11, "aa");
  metrics.reloadSucceeded(12, "bb");
  assert.deepEqual(await samples(metrics, "protogate_config_info"), [`protogate_config_info{hash="bb"} 1`]);
  assert.deepEqual(await samples(metrics, "protogate_config_last_reload_successful"), [
    "protogate_config_last_reload_successful 1",
  ]);
  assert.deepEqual(await samples(metrics, "protogate_bindings"), ["protogate_bindings 12"]);
  const [line] = await samples(metrics, "protogate_config_last_reload_success_timestamp_seconds");
  assert.ok(Number(line?.split(" ")[1]) > 1_600_000_000);
});

test("label values are escaped", async () => {
  const metrics = metricsWith(1);
  metrics.route('/a"\\\n', "GET", "s").observe(200, 0, 0, 0, 0);
  assert.match((await samples(metrics, "protogate_http_requests_total")).join(), /route="\/a\\"\\\\\\n"/);
});

test("metrics cover the process, the event loop and the build", async () => {
  const text = await metricsWith(1).text();
  assert.match(text, /^process_cpu_seconds_total /m);
  assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
  assert.match(text, /^protogate_build_info\{version="1\.2\.3",node="v\d+\./m);
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

test("promtool accepts the metrics", {
  skip: hasPromtool ? false : "promtool is not installed",
}, async () => {
  const metrics = metricsWith(0.1, 1);
  metrics.route("/a", "GET", "s").observe(200, 0, 0.1, 1, 1);
  const call = metrics.upstream("u", "grpc", "/p.S/M");
  call.started();
  call.retried(14);
  call.handled(0, 0.1);
  metrics.endpointsFrom(() => [["u", [{ state: "ready" }]]]);
  metrics.reloadSucceeded(1, "aa");
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: await metrics.text(),
    encoding: "utf8",
  });
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
});

test("OpenMetrics has exemplars of recorded traces, the latest of each bucket and of all processes; the text format has none", async () => {
  const [first, second] = [metricsWith(0.1, 1), metricsWith(0.1, 1)];
  const observe = (metrics: Metrics, seconds: number, traceId?: string): void =>
    metrics.route("/a", "GET", "s").observe(200, 0, seconds, 0, 0, undefined, traceId);
  observe(first, 0.05);
  observe(first, 0.5, "a".repeat(32));
  observe(second, 0.6, "b".repeat(32));
  observe(second, 7, "c".repeat(32));
  metricsOfUpstream(first).handled(0, 0.5, undefined, "d".repeat(32));
  const states = addUp([await metricStates(first.registry), await metricStates(second.registry)]);
  const text = await metricText(states, "openmetrics");
  const lines = text.split("\n");
  const bucket = (le: string): string =>
    lines.find(line =>
      line.startsWith(`protogate_http_request_duration_seconds_bucket{route="/a",method="GET",le="${le}"}`),
    ) ?? "";
  assert.match(bucket("0.1"), /^\S+ 1$/);
  assert.match(bucket("1"), /^\S+ 3 # \{trace_id="[ab]{32}"\} 0\.[56] \d+(\.\d+)?$/);
  assert.match(bucket("+Inf"), /^\S+ 4 # \{trace_id="c{32}"\} 7 \d+/);
  assert.ok(
    lines.some(
      line => line.startsWith("protogate_upstream_handling_seconds_bucket") && line.includes("d".repeat(32)),
    ),
  );
  assert.ok(lines.includes("# TYPE protogate_http_requests counter"));
  assert.ok(lines.some(line => line.startsWith('protogate_http_requests_total{route="/a"')));
  assert.match(text, /\n# EOF\n$/);
  assert.doesNotMatch(text, /_total_total/);
  assert.doesNotMatch(await first.text(), /# \{trace_id/);
  // Neither format changes what the other prints.
  assert.match(await first.text("openmetrics"), /# EOF/);
  assert.match(await first.text(), /^# TYPE protogate_http_requests_total counter$/m);
});

test("histograms of prom-client, which have no exemplars, are added up", async () => {
  const registries = [new Registry(), new Registry()];
  for (const registry of registries)
    new Histogram({ name: "gc_seconds", help: "h", buckets: [1], registers: [registry] }).observe(0.5);
  const states = addUp(await Promise.all(registries.map(metricStates)));
  for (const format of ["prometheus", "openmetrics"] as const)
    assert.match(await metricText(states, format), /^gc_seconds_bucket\{le="1"\} 2$/m);
});

function metricsOfUpstream(metrics: Metrics) {
  return metrics.upstream("chat", "grpc", "/chat.v1.Rooms/Send");
}

test("the format of metrics is OpenMetrics where Accept prefers it, else that of Prometheus", () => {
  const prometheus =
    "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.25,*/*;q=0.1";
  assert.equal(metricsFormat(prometheus), "openmetrics");
  assert.equal(metricsFormat("application/openmetrics-text"), "openmetrics");
  for (const accept of [
    undefined,
    "",
    "*/*",
    "text/plain",
    "application/openmetrics-text;version=0.0.1",
    "application/openmetrics-text;q=0",
    "application/openmetrics-text;q=0.1, text/plain",
    "application/openmetrics-text;q=nonsense",
  ])
    assert.equal(metricsFormat(accept), "prometheus", accept);
});
