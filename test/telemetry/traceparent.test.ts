import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseTraceparent, passedTrace } from "../../src/telemetry/traceparent.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentId = "00f067aa0ba902b7";

test("a valid traceparent is read", () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${parentId}-01`), { traceId, parentId, sampled: true });
  assert.equal(parseTraceparent(`00-${traceId}-${parentId}-00`)?.sampled, false);
  assert.equal(parseTraceparent(`00-${traceId}-${parentId}-fe`)?.sampled, false);
});

test("a traceparent of a later version is read as version 00 and may be longer", () => {
  assert.equal(parseTraceparent(`01-${traceId}-${parentId}-01`)?.traceId, traceId);
  assert.equal(parseTraceparent(`cc-${traceId}-${parentId}-01-what-comes`)?.traceId, traceId);
});

test("a malformed traceparent is ignored", () => {
  const malformed = [
    "",
    `ff-${traceId}-${parentId}-01`,
    `00-${traceId}-${parentId}-01-more`,
    `cc-${traceId}-${parentId}-01.more`,
    `00-${traceId.toUpperCase()}-${parentId}-01`,
    `00-${"0".repeat(32)}-${parentId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.slice(1)}-${parentId}-01`,
    `00-${traceId}-${parentId}-0`,
    `00-${traceId}-${parentId}-01\n`,
    `00-${traceId}-${parentId}-01, 00-${traceId}-${parentId}-01`,
  ];
  for (const text of malformed) assert.equal(parseTraceparent(text), undefined, JSON.stringify(text));
});

test("a valid traceparent is forwarded unchanged with its tracestate", () => {
  const traceparent = `00-${traceId}-${parentId}-01`;
  assert.deepEqual(passedTrace(traceparent, "a=1,b=2"), { traceparent, tracestate: "a=1,b=2" });
  assert.deepEqual(passedTrace(traceparent, undefined), { traceparent, tracestate: undefined });
});

test("a request without a valid traceparent forwards neither it nor tracestate", () => {
  assert.equal(passedTrace(undefined, "a=1"), undefined);
  assert.equal(passedTrace("nonsense", "a=1"), undefined);
});

test("a long tracestate loses whole entries from its end, and one that cannot be sent is dropped", () => {
  const traceparent = `00-${traceId}-${parentId}-01`;
  const entries = Array.from({ length: 40 }, (_, i) => `vendor${i}=${"v".repeat(20)}`);
  const kept = passedTrace(traceparent, entries.join(","))?.tracestate?.split(",") ?? [];
  assert.ok(kept.length > 10);
  assert.ok(kept.join(",").length <= 512);
  assert.deepEqual(kept, entries.slice(0, kept.length));
  assert.equal(passedTrace(traceparent, `a=${"x".repeat(600)}`)?.tracestate, undefined);
  assert.equal(passedTrace(traceparent, "a=é")?.tracestate, undefined);
});

test("a forwarded traceparent is valid whatever the client sends", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (traceparent, tracestate) => {
      const trace = passedTrace(traceparent, tracestate);
      if (trace !== undefined) assert.notEqual(parseTraceparent(trace.traceparent), undefined);
    }),
    { numRuns: 500 },
  );
});
