import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Client, credentials } from "@grpc/grpc-js";
import { startRoomsServer } from "../../../src/realtime/api/rooms-server.js";
import { serve } from "../harness.js";

const skip = spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";

test("the rooms API speaks TLS with its own certificate", { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-api-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
    ].concat([
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
      "-keyout",
      key,
      "-out",
      cert,
    ]),
    { stdio: "ignore" },
  );
  const { realtime } = await serve(t);
  const tls = { cert: readFileSync(cert), key: readFileSync(key) };
  const server = await startRoomsServer(() => realtime.hub, {
    host: "127.0.0.1",
    port: 0,
    tls,
    token: undefined,
  });
  t.after(() => server.close());
  const client = new Client(`localhost:${server.port}`, credentials.createSsl(readFileSync(cert)));
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
