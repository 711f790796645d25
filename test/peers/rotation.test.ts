import assert from "node:assert/strict";
import { test } from "node:test";
import { buildPeer, startPeer, whyNoGo } from "./go-peer.js";
import { startGoAwayServer } from "./goaway-server.js";
import { type RotationCounts, runRotation } from "./rotation.js";

const run = { transport: "lean", calls: 400, streams: 60 } as const;
/** The same of grpc-js, which does not tell a server that goes away from one that has too much to do. */
const grpcJsRun = { transport: "grpc-js", calls: 100, streams: 20 } as const;

function assertNothingLost({ failures, processed, repeated }: RotationCounts): void {
  assert.deepEqual([...failures], []);
  assert.deepEqual([processed, repeated], [run.calls + 3 * run.streams, 0]);
}

/** Every call has ended, the backend has processed those that did well, and none twice. */
function assertTold({ failures, failed, processed, repeated }: RotationCounts): void {
  for (const how of failures.keys()) assert.match(how, /UPSTREAM_UNAVAILABLE/);
  assert.equal(repeated, 0);
  const calls = grpcJsRun.calls + 3 * grpcJsRun.streams;
  assert.ok(processed + failed >= calls && processed <= calls, `${processed} processed, ${failed} failed`);
}

test("no call is lost or processed twice by a server that sends GOAWAY every 20 ms", async () => {
  assertNothingLost(await runRotation(await startGoAwayServer(20), run));
});

test("no call is lost or processed twice by grpc-go with a MaxConnectionAge of 50 ms", {
  skip: (await whyNoGo()) ?? false,
}, async () => {
  assertNothingLost(await runRotation(await startPeer(await buildPeer(), "none", "50ms"), run));
});

test("with grpc-js calls that a server's GOAWAY costs end with UPSTREAM_UNAVAILABLE, and none is processed twice", async () => {
  assertTold(await runRotation(await startGoAwayServer(20), grpcJsRun));
});
