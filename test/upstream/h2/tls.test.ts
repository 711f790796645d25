import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import { ServerCredentials } from "@grpc/grpc-js";
import { Code } from "../../../src/status/code.js";
import { listen, openChannel, startBackend, unaryCall } from "../backend.js";
import { RawPeer, response, settings } from "./raw-server.js";

const skip = spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";

let folder: string;
let key: Buffer;
let cert: Buffer;

before(() => {
  if (skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), "protogate-h2-tls-"));
  const args = "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost";
  execFileSync("openssl", [...args.split(" "), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], {
    cwd: folder,
    stdio: "ignore",
  });
  key = readFileSync(join(folder, "key"));
  cert = readFileSync(join(folder, "cert"));
});

after(() => {
  if (skip === false) rmSync(folder, { recursive: true });
});

for (const [what, protocols] of [
  ["chooses HTTP/1.1", ["http/1.1"]],
  ["knows nothing of ALPN", undefined],
] as const) {
  test(`a server that ${what} cannot be connected to`, { skip }, async () => {
    const sockets = new Set<TLSSocket>();
    const server = createServer({
      key,
      cert,
      ...(protocols !== undefined && { ALPNProtocols: [...protocols] }),
    });
    server.on("secureConnection", socket => sockets.add(socket.on("error", () => {})));
    server.on("tlsClientError", () => {});
    const channel = openChannel([await listen(server)], { transport: "lean", tls: { ca: cert } });
    const { status } = await channel.unary(unaryCall());
    assert.deepEqual([status.code, status.origin], [Code.UNAVAILABLE, "connect"]);
    assert.match(status.message, /ALPN|no application protocol/i);
    await channel.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
}

test("large messages pass over TLS, many at once", { skip }, async () => {
  const pair = [{ private_key: key, cert_chain: cert }];
  const backend = await startBackend({ credentials: ServerCredentials.createSsl(null, pair) });
  const channel = openChannel([backend.address], {
    transport: "lean",
    tls: { ca: cert },
    maxMessageSize: 8 << 20,
  });
  const request = Buffer.alloc(3 << 20, "secret ");
  const results = await Promise.all(
    Array.from({ length: 6 }, () => channel.unary(unaryCall({ request, timeout: 30_000 }))),
  );
  for (const { status, message } of results) {
    assert.equal(status.code, Code.OK, status.message);
    assert.ok(message !== undefined && request.equals(message));
  }
  await channel.close();
  backend.stop();
});

test("an address is checked against the certificate where no name is configured", { skip }, async () => {
  const server = createServer({ key, cert, ALPNProtocols: ["h2"] }, socket => {
    const peer = new RawPeer(socket, 0);
    peer.send(settings());
    peer.onRequest(stream => peer.send(response(stream)));
  });
  const channel = openChannel([await listen(server)], { transport: "lean", tls: { ca: cert } });
  const { status } = await channel.unary(unaryCall());
  assert.equal(status.code, Code.OK, status.message);
  await channel.close();
  server.close();
  await once(server, "close");
});
