import assert from "node:assert/strict";
import { test } from "node:test";
import { areaOf } from "../../bench/profile/areas.js";
import { type CpuProfile, selfBytes, selfTimes } from "../../bench/profile/cpu-profile.js";

function node(id: number, functionName: string, url: string, children: readonly number[] = []) {
  return { id, callFrame: { functionName, url, lineNumber: 0 }, children };
}

const profile: CpuProfile = {
  nodes: [
    node(1, "(root)", "", [2, 3, 4, 5, 9]),
    node(2, "(idle)", ""),
    node(3, "(garbage collector)", ""),
    node(4, "handle", "file:///app/dist/http/pipeline.js", [6]),
    node(5, "sendMessage", "file:///app/node_modules/@grpc/grpc-js/build/src/call.js", [7]),
    node(6, "emit", "node:events"),
    node(7, "request", "node:internal/http2/core", [8]),
    node(8, "write", ""),
    node(9, "processTicksAndRejections", "node:internal/process/task_queues"),
  ],
  samples: [2, 3, 4, 6, 5, 8, 9, 9],
  timeDeltas: [1000, 10, 1, 2, 3, 4, 5, 6],
};

test("time goes to the module, and that of Node's core to the nearest caller that says more", () => {
  const areas: Record<string, number> = {};
  for (const [frame, time] of selfTimes(profile)) {
    const area = areaOf(frame);
    areas[area] = (areas[area] ?? 0) + time;
  }
  assert.deepEqual(areas, {
    "garbage collection": 10,
    "protogate: http": 3,
    "@grpc/grpc-js": 3,
    "node:http2 (to the upstream)": 4,
    "Node's event loop, streams, timers": 11,
  });
});

test("allocated bytes stay with the function that allocates, and its callers are known", () => {
  const [handle, concat, idle] = [
    node(2, "handle", "file:///app/dist/http/pipeline.js"),
    node(3, "concat", "node:buffer"),
    node(4, "(V8 API)", ""),
  ].map(({ callFrame }) => ({ callFrame, selfSize: 0, children: [] }));
  assert.ok(handle && concat && idle);
  const head = {
    ...idle,
    children: [{ ...handle, selfSize: 100, children: [{ ...concat, selfSize: 20 }] }],
  };
  const found = [...selfBytes({ head })].map(([{ name, caller }, bytes]) => [name, caller?.name, bytes]);
  assert.deepEqual(found, [
    ["handle", "(V8 API)", 100],
    ["concat", "handle", 20],
  ]);
});
