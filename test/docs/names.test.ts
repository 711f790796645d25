import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRuntime } from "../../src/gateway/runtime.js";
import { frameTypes } from "../../src/realtime/chat/frame-reader.js";
import { CloseCode } from "../../src/realtime/chat/frames.js";
import { reasons } from "../../src/status/reasons.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { readme } from "./page.js";

describe("the names in the README", () => {
  it("of metrics are those of the gateway", async () => {
    const telemetry = { log: { level: "silent" }, metrics: { buckets: [1] } } as const;
    const runtime = createRuntime(
      { telemetry } as unknown as Parameters<typeof createRuntime>[0],
      createLogger("silent"),
    );
    const served = await runtime.metrics.text();
    for (const name of new Set(readme.text.match(/\bprotogate_\w+/g)))
      assert.ok(served.includes(` ${name} `), name);
  });

  it("of reasons have the status that their row says", () => {
    const rows = readme.tableRows("status", "reasons");
    for (const [status = "", names = ""] of rows) {
      const statuses = status.split(", ").map(Number);
      for (const name of names.match(/\w+/g) ?? []) {
        const reason = Object.entries(reasons).find(([known]) => known === name)?.[1];
        assert.ok(statuses.includes(reason?.httpStatus ?? 0), name);
      }
    }
    assert.ok(rows.length > 5);
  });

  it("of frames are all that clients can send", () => {
    const named = readme
      .tableRows("a client sends", "the others get", "it gets")
      .map(([frame = ""]) => /`([\w-]+)`/.exec(frame)?.[1]);
    assert.deepEqual(named, frameTypes);
  });

  it("of close codes are all that mean something", () => {
    const named = readme.tableRows("close code", "why").map(([code]) => Number(code));
    assert.deepEqual(named, Object.values(CloseCode).toSorted());
  });
});
