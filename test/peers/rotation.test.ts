import assert from "node:assert/strict";
import { test } from "node:test";
import { buildPeer, startPeer, whyNoGo } from "./go-peer.js";
import { startGoAwayServer } from "./goaway-server.js";
import { type RotationCounts, runRotation } from "./rotation.js";

const run = { transport: "lean", calls: 1_000, streams: 100 } as const;

function assertNothingLost({ failures, processed, repeated }: RotationCounts): void {
  assert.deepEqual([...failures], []);
  assert.deepEqual([processed, repeated], [run.calls + 3 * run.streams, 0]);
}

test("no call is lost or processed twice by a server that sends GOAWAY every 20 ms", async () => {
  assertNothingLost(await runRotation(await startGoAwayServer(20), run));
});

test("no call is lost or processed twice by grpc-go with a MaxConnectionAge of 50 ms", {
  skip: (await whyNoGo()) ?? false,
}, async () => {
  assertNothingLost(await runRotation(await startPeer(await buildPeer(), "none", "50ms"), run));
});
