import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import { test } from "node:test";
import { Code } from "../../../src/status/code.js";
import { listen, openChannel, unaryCall } from "../backend.js";

test("header blocks follow a server's smaller SETTINGS_HEADER_TABLE_SIZE with a table size update", async () => {
  const server = createServer({ settings: { headerTableSize: 0 } });
  const sessions: ServerHttp2Session[] = [];
  server.on("session", session => sessions.push(session));
  server.on("stream", stream => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" },
      { endStream: true },
    );
  });
  const address = await listen(server);
  const channel = openChannel([address], { transport: "lean" });
  const call = async () => (await channel.unary(unaryCall())).status;
  assert.deepEqual(await call(), { code: Code.UNIMPLEMENTED, message: "", origin: "backend" });
  const [session] = sessions as [ServerHttp2Session];
  for (const headerTableSize of [100, 0]) {
    session.settings({ headerTableSize });
    await once(session, "localSettings");
    assert.equal((await call()).code, Code.UNIMPLEMENTED);
  }
  assert.equal(sessions.length, 1);
  await channel.close();
  server.close();
});
