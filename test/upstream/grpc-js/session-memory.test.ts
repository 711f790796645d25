import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { Code } from "../../../src/status/code.js";
import { attacks } from "../attack-inputs.js";
import { openChannel, unaryCall } from "../backend.js";
import { settings, startRawServer } from "../h2/raw-server.js";
import { underTest } from "../transport-under-test.js";

underTest.transport = "grpc-js";

test("a backend whose header block does not come to its end cannot end the process when its sessions are freed", async () => {
  const attack = attacks.find(({ name }) => name === "a header block in 2,000 pieces");
  assert.ok(attack !== undefined);
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => attack.act(stream, peer));
  });
  try {
    // The fault of Node.js shows when a collection comes between the end of a session and that of its streams.
    setFlagsFromString("--gc-interval=100");
    for (let call = 0; call < 100; call++) {
      const channel = openChannel([server.address]);
      const { status } = await channel.unary(unaryCall());
      assert.notEqual(status.code, Code.OK);
      await channel.close();
    }
  } finally {
    setFlagsFromString("--gc-interval=-1");
    await server.close();
  }
});
