import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "../../src/status/code.js";
import { attacks } from "./attack-inputs.js";
import { openChannel, unaryCall } from "./backend.js";
import { response, settings, startRawServer } from "./h2/raw-server.js";
import { underTest } from "./transport-under-test.js";

/** Odd, and within the rules: what they say is taken. */
const successes: ReadonlySet<string> = new Set([
  "grpc-status in headers that do not end the stream",
  "a content type in capitals",
  "a thousand fields",
  "a hundred informational heads and a response",
  "an empty message",
  "trailers twice",
  "DATA behind the trailers",
  "gzip of two members",
  "a reset with NO_ERROR behind a whole response",
  "a frame whose reserved bit is set",
  "SETTINGS that close every window, and a response",
]);

for (const { name, act } of attacks) {
  test(`a backend that sends ${name} ends the call with a status within its deadline, and leaves nothing open`, async () => {
    const server = await startRawServer(peer => {
      peer.send(settings());
      peer.onRequest(stream => {
        if (peer.index === 0 && stream === 1) act(stream, peer);
        else peer.send(response(stream, "fine"));
      });
    });
    const channel = openChannel([server.address]);
    const { status, message } = await channel.unary(
      unaryCall({ timeout: successes.has(name) ? 10_000 : 300 }),
    );
    assert.ok(Number.isInteger(status.code) && status.code >= 0, `code ${status.code}`);
    assert.equal(status.origin === undefined, status.code === Code.OK);
    assert.equal(message === undefined, status.code !== Code.OK);
    if (underTest.transport === "lean") {
      assert.equal(status.code === Code.OK, successes.has(name), `${status.code} ${status.message}`);
      await channel.close();
      await Promise.all(server.peers.map(({ closed }) => closed));
    } else {
      await channel.close();
    }
    await server.close();
  });
}
