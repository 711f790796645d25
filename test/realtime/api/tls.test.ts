import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { startRoomsServer } from "../../../src/realtime/api/rooms-server.js";
import { Authority, withoutOpenssl } from "../../auth/certificates.js";
import { serve } from "../harness.js";

test("the rooms API speaks TLS with its own certificate", { skip: withoutOpenssl }, async t => {
  const authority = new Authority("rooms");
  const tls = authority.issue("rooms", "/CN=localhost", "DNS.1=localhost");
  const { realtime } = await serve(t);
  const server = await startRoomsServer(() => realtime.hub, {
    host: "127.0.0.1",
    port: 0,
    tls,
    token: undefined,
  });
  t.after(() => server.close());
  const client = new Client(`localhost:${server.port}`, credentials.createSsl(authority.ca.cert));
  t.after(() => client.close());
  const reply = await new Promise<Buffer>((resolve, reject) => {
    const same = (bytes: Buffer): Buffer => bytes;
    const path = "/protogate.realtime.v1.Rooms/ListRooms";
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error, value) =>
      error === null ? resolve(value ?? Buffer.alloc(0)) : reject(error),
    );
  });
  assert.equal(reply.length, 0);
  await assert.rejects(
    startRoomsServer(() => realtime.hub, { host: "127.0.0.1", port: server.port, tls, token: undefined }),
    /EADDRINUSE|No address added/,
  );
});
