import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { buildPeer, startPeer, whyNoGo } from "./go-peer.js";
import { startGoAwayServer } from "./goaway-server.js";
import { type RotationCounts, runRotation } from "./rotation.js";

const run = { transport: "lean", calls: 1_000, streams: 100 } as const;

function assertNothingLost({ failures, processed, repeated }: RotationCounts): void {
  assert.deepEqual([...failures], []);
  assert.deepEqual([processed, repeated], [run.calls + run.streams, 0]);
}

test("no call is lost or processed twice by a server that sends GOAWAY every 20 ms", async () => {
  assertNothingLost(await runRotation(await startGoAwayServer(20), run));
});

test("no call is lost or processed twice by grpc-go with a MaxConnectionAge of 50 ms", {
  skip: (await whyNoGo()) ?? false,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "protogate-rotation-"));
  try {
    await buildPeer(join(folder, "peer"));
    assertNothingLost(await runRotation(await startPeer(join(folder, "peer"), "none", "50ms"), run));
  } finally {
    await rm(folder, { recursive: true });
  }
});
