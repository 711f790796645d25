import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { engineUnderTest } from "../engine.js";
import { send, startTestGateway, type TestGateway } from "./harness.js";

const missing = spawnSync("openssl", ["version"]).error !== undefined;

describe(`pass-through over TLS (${engineUnderTest()})`, {
  skip: missing && "openssl is not installed",
}, () => {
  let folder: string;
  let server: Server;
  let gateway: TestGateway;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "protogate-"));
    const request =
      "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=a".split(" ");
    const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync("openssl", [...request, ...names], { cwd: folder, stdio: "ignore" });
    const read = (name: string): Buffer => readFileSync(join(folder, name));
    server = createServer({ key: read("key.pem"), cert: read("cert.pem") }, (_request, response) =>
      response.end("secret"),
    );
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", socket => socket.send("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const websocket = engineUnderTest() === "fastify";
    const target = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    gateway = await startTestGateway(
      `
upstreams:
  strange: { protocol: http, targets: ["${target}"] }
  known: { protocol: http, targets: ["${target}"], tls: { ca: "${join(folder, "cert.pem")}" } }
http:
  proxy:
    - { prefix: /strange, upstream: strange, websocket: ${websocket} }
    - { prefix: /known, upstream: known, websocket: ${websocket} }
server: { drain: 100ms }
`,
      {},
    );
  });
  after(async () => {
    await gateway.close();
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true });
  });

  test("a TLS pass-through sends nothing to a backend whose certificate is not trusted", async () => {
    const answer = await send(`${gateway.url}/strange/x`);
    assert.deepEqual([answer.status, answer.json.reason], [503, "UPSTREAM_UNAVAILABLE"]);
  });

  test("a TLS pass-through calls a backend whose CA is configured", async () => {
    assert.equal((await send(`${gateway.url}/known/x`)).text, "secret");
  });

  test("a TLS pass-through trusts backends of WebSockets by the same CA", {
    skip: engineUnderTest() === "uws",
  }, async () => {
    const url = `ws://127.0.0.1:${gateway.httpPort}`;
    const strange = new WebSocket(`${url}/strange/x`);
    strange.on("error", () => undefined);
    const [, response] = (await once(strange, "unexpected-response")) as [unknown, IncomingMessage];
    assert.equal(response.statusCode, 503);
    strange.terminate();
    const known = new WebSocket(`${url}/known/x`);
    assert.equal(String((await once(known, "message"))[0]), "hello");
    known.terminate();
  });
});
