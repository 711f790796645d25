import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "../../../src/status/code.js";
import { ErrorCode, FrameType } from "../../../src/upstream/h2/protocol.js";
import { openChannel, unaryCall } from "../backend.js";
import { answer, frame, settings, startRawServer, uint32 } from "./raw-server.js";

test("a server that goes away for an error and does not close, as it must, is left; what it answers meanwhile counts", async () => {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onRequest(stream => {
      if (peer.index > 0) peer.send(answer(stream, "another connection"));
      if (stream !== 3) return;
      const payload = Buffer.concat([uint32(3), uint32(ErrorCode.CompressionError)]);
      peer.send(frame(FrameType.GoAway, 0, 0, payload), answer(1, "meanwhile"));
    });
  });
  const channel = openChannel([server.address], { transport: "lean" });
  const calls = [1, 2].map(() => channel.unary(unaryCall({ timeout: 30_000 })));
  const [answered, left] = await Promise.all(calls);
  assert.equal(String(answered?.message), "meanwhile");
  assert.deepEqual(left?.status, {
    code: Code.UNAVAILABLE,
    message: "Connection dropped: the upstream went away (GOAWAY, code 9) and did not close the connection",
    origin: "connect",
  });
  assert.equal(String((await channel.unary(unaryCall())).message), "another connection");
  await channel.close();
  await server.close();
});
