import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startGateway } from "../../src/gateway/gateway.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { echoProto, startEcho } from "./echo.js";
import { echo, startBackend } from "./harness.js";

describe("TLS listeners", { skip: withoutOpenssl }, () => {
  if (withoutOpenssl !== false) return;
  const authority = new Authority("listeners");
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "protogate-"));
    mkdirSync(join(folder, "protos"));
    writeFileSync(join(folder, "protos/echo.proto"), echoProto);
    const { cert, key } = authority.issue("listener", "/CN=localhost", "DNS.1=localhost");
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "key.pem"), key);
  });
  after(() => rmSync(folder, { recursive: true }));

  const get = (port: number, path: string): Promise<{ status: number | undefined; text: string }> =>
    new Promise((resolve, reject) => {
      request({ host: "localhost", port, path, ca: authority.ca.cert, agent: false }, response => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", chunk => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode, text }));
      })
        .on("error", reject)
        .end();
    });

  it("TLS listeners serve REST and admin, and the backend gets x-forwarded-proto https", async () => {
    const backend = await startBackend({ "/test.v1.Echo/Get": echo });
    const tls = "tls: { cert: ./cert.pem, key: ./key.pem }";
    writeFileSync(
      join(folder, "gateway.yaml"),
      `listeners: { http: { address: 127.0.0.1:0, ${tls} }, admin: { address: 127.0.0.1:0, ${tls} } }
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
`,
    );
    const gateway = await startGateway(join(folder, "gateway.yaml"), {
      env: {},
      logTo: { write: () => undefined },
    });
    assert.deepEqual(await get(gateway.httpPort, "/v1/items/a"), { status: 200, text: '{"id":"a"}' });
    assert.deepEqual(backend.calls[0]?.metadata.get("x-forwarded-proto"), ["https"]);
    assert.deepEqual(await get(gateway.adminPort, "/livez"), { status: 200, text: "ok" });
    await gateway.close();
    await backend.close();
  });

  it("a file without a certificate is a load error at its position", async () => {
    writeFileSync(join(folder, "broken.pem"), "nothing");
    writeFileSync(
      join(folder, "broken.yaml"),
      `listeners:
  http: { address: 127.0.0.1:0, tls: { cert: ./broken.pem, key: ./key.pem } }
  admin: { address: 127.0.0.1:0 }
descriptors: [{ protos: ./protos }]
`,
    );
    await assert.rejects(
      startGateway(join(folder, "broken.yaml"), { env: {}, logTo: { write: () => undefined } }),
      (error: Error) => /broken\.yaml:2:\d+: error: .*broken\.pem/.test(error.message),
    );
    writeFileSync(
      join(folder, "rooms.yaml"),
      `listeners:
  http: { address: 127.0.0.1:0 }
  realtime: { address: 127.0.0.1:0, tls: { cert: ./broken.pem, key: ./key.pem } }
realtime:
  api: { address: 127.0.0.1:0, tls: { cert: ./broken.pem, key: ./key.pem } }
`,
    );
    await assert.rejects(
      startGateway(join(folder, "rooms.yaml"), { env: {}, logTo: { write: () => undefined } }),
      (error: Error) =>
        /rooms\.yaml:3:\d+: error: .*broken\.pem.*\(at listeners\.realtime\.tls\)/.test(error.message) &&
        /rooms\.yaml:5:\d+: error: .*broken\.pem.*\(at realtime\.api\.tls\)/.test(error.message),
    );
  });
});

describe("a listener whose port is taken", () => {
  it("a listener whose port is taken is a load error at its address", async () => {
    const system = await startEcho();
    const folder = mkdtempSync(join(tmpdir(), "protogate-"));
    writeFileSync(
      join(folder, "gateway.yaml"),
      `listeners:
  http: { address: "127.0.0.1:${system.gateway.httpPort}" }
  admin: { address: 127.0.0.1:0 }
`,
    );
    await assert.rejects(
      startGateway(join(folder, "gateway.yaml"), { env: {}, logTo: { write: () => undefined } }),
      (error: Error) =>
        /gateway\.yaml:2:20: error: 127\.0\.0\.1:\d+ is in use by another process \(at listeners\.http\.address\)/.test(
          error.message,
        ),
    );
    rmSync(folder, { recursive: true });
    await system.close();
  });
});
