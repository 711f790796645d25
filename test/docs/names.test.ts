import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRuntime } from "../../src/gateway/runtime.js";
import { poolMetrics } from "../../src/gateway/workers/worker-metrics.js";
import { frameTypes } from "../../src/realtime/chat/frame-reader.js";
import { CloseCode } from "../../src/realtime/chat/frames.js";
import { codeName, httpStatus } from "../../src/status/code.js";
import { reasons } from "../../src/status/reasons.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { pages, reference } from "./page.js";

function metrics() {
  const telemetry = { log: { level: "silent" }, metrics: { buckets: [1] } } as const;
  const config = { telemetry } as unknown as Parameters<typeof createRuntime>[0];
  const { metrics } = createRuntime(config, createLogger("silent"));
  poolMetrics(metrics, () => 0);
  return metrics;
}

describe("the names in the documentation", () => {
  it("docs/reference/metrics.md lists every metric of the gateway with its type and labels", async () => {
    const { registry } = metrics();
    const types = (await registry.metrics()).matchAll(/^# TYPE (protogate_\w+) (\w+)$/gm);
    const served = [...types].map(([, name = "", type]) => {
      const metric = registry.getSingleMetric(name) as unknown as { labelNames?: readonly string[] };
      return [`\`${name}\``, type, (metric.labelNames ?? []).map(label => `\`${label}\``).join(" ")];
    });
    const listed = reference("metrics").tableRows("metric", "type", "labels", "meaning");
    assert.deepEqual(listed.map(row => row.slice(0, 3)).toSorted(), served.toSorted());
  });

  it("every metric that a page mentions exists", async () => {
    const served = await metrics().text();
    for (const { path, text } of pages)
      for (const [name] of text.matchAll(/\bprotogate_\w+/g))
        assert.ok(served.includes(` ${name} `), `${path}: ${name}`);
  });

  it("docs/reference/errors.md lists every reason of the gateway with its status and code", () => {
    const known = Object.entries(reasons).map(([name, { httpStatus: status, code }]) => [
      `\`${name}\``,
      String(status),
      codeName(code),
    ]);
    const listed = reference("errors").tableRows("reason", "status", "code", "meaning");
    assert.deepEqual(listed.map(row => row.slice(0, 3)).toSorted(), known.toSorted());
  });

  it("docs/reference/errors.md has the HTTP status of every gRPC code", () => {
    const rows = reference("errors").tableRows("gRPC code", "HTTP status");
    const listed = rows.flatMap(([names = "", status]) => names.split(", ").map(name => `${name} ${status}`));
    const known = Array.from({ length: 17 }, (_, code) => `${codeName(code)} ${httpStatus(code)}`);
    assert.deepEqual(listed.toSorted(), known.toSorted());
  });

  it("docs/reference/realtime.md lists exactly the frames that clients can send", () => {
    const named = reference("realtime")
      .tableRows("a client sends", "the others get", "it gets")
      .map(([frame = ""]) => /`([\w-]+)`/.exec(frame)?.[1]);
    assert.deepEqual(named, frameTypes);
  });

  it("docs/reference/realtime.md lists exactly the close codes of the gateway", () => {
    const named = reference("realtime")
      .tableRows("close code", "why")
      .map(([code]) => Number(code));
    assert.deepEqual(named, Object.values(CloseCode).toSorted());
  });
});
