import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { startGateway } from "../../src/gateway/gateway.js";
import { Authority, type Pair, withoutOpenssl } from "../auth/certificates.js";
import { engineUnderTest } from "../engine.js";
import { statusesOf } from "../server/raw-client.js";
import { echo, send, startBackend } from "./harness.js";

const proto = `
syntax = "proto3";
package cert.v1;
import "google/api/annotations.proto";
service Certified {
  rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/get/{name}" }; }
  rpc Own(Note) returns (Note) { option (google.api.http) = { get: "/own/{name}" }; }
}
message Note { string name = 1; }
`;

const skip =
  withoutOpenssl || (engineUnderTest() === "uws" && "uws does not give access to the client's certificate");

describe("client certificates through the gateway", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  const authority = new Authority("Acme Root");
  const stranger = new Authority("Acme Root");
  const server = authority.issue("server", "/CN=localhost", "DNS.1=localhost");
  const ada = authority.issue("ada", "/CN=ada", "DNS.1=ada.acme.example");
  const bob = authority.issue("bob", "/CN=bob", "DNS.1=bob.other.example");
  const old = authority.issue("old", "/CN=ada", "DNS.1=ada.acme.example", -1);
  const foreign = stranger.issue("ada", "/CN=ada", "DNS.1=ada.acme.example");
  const backend = await startBackend({ "/cert.v1.Certified/Get": echo, "/cert.v1.Certified/Own": echo });
  const config = (listener: string): string => `
listeners: { http: { address: 127.0.0.1:0${listener} }, admin: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ${folder}/protos }]
upstreams: { back: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: cert.v1.Certified, upstream: back, auth: machines }]
auth:
  providers: { machines: { type: mtls, subject_from: cn, allow: [ada], claims_to_metadata: { cn: x-machine } } }
  policies: [{ match: { rpc: cert.v1.Certified/Own }, require: { rule: "claim.cn == request.name" } }]
`;
  const tls = (more = ""): string =>
    `, tls: { cert: ${server.certFile}, key: ${server.keyFile}, client_ca: ${authority.ca.certFile}${more} }`;

  async function start(listener: string) {
    const file = join(mkdtempSync(join(folder, "c-")), "gateway.yaml");
    writeFileSync(file, config(listener));
    const gateway = await startGateway(file, { env: {}, logTo: { write: () => undefined } });
    after(() => gateway.close());
    return gateway.httpPort;
  }

  mkdirSync(join(folder, "protos"));
  writeFileSync(join(folder, "protos/cert.proto"), proto);
  after(async () => {
    await backend.close();
    rmSync(folder, { recursive: true });
  });

  /** The status of a request; 0 where the connection ends without one. */
  async function ask(
    port: number,
    client: Pair | undefined,
    lines: readonly string[] = [],
    path = "/get/a",
    more: ConnectionOptions = {},
  ): Promise<number> {
    const socket = connect({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: authority.ca.cert,
      ...(client && { cert: client.cert, key: client.key }),
      ...more,
    });
    let text = "";
    socket.setEncoding("latin1").on("data", chunk => {
      text += chunk;
    });
    socket.on("error", () => undefined);
    socket.write(
      [`GET ${path} HTTP/1.1`, "host: localhost", "connection: close", ...lines, "\r\n"].join("\r\n"),
    );
    await new Promise(resolve => socket.once("close", resolve));
    return Number(statusesOf(text)[0] ?? 0);
  }

  /** What proxies that end TLS tell of a certificate, and so what an attacker would say. */
  const claims = [
    "x-client-cert: present",
    'x-forwarded-client-cert: Subject="CN=ada";URI=spiffe://acme/ada',
    "x-ssl-client-verify: SUCCESS",
    "x-ssl-client-s-dn: CN=ada",
    `x-client-certificate: ${encodeURIComponent(ada.cert.toString())}`,
    "client-cert: :MIIB:",
    "x-machine: ada",
    "x-forwarded-proto: https",
  ];

  for (const how of ["request", "require"] as const) {
    test(`by \`${how}\`: an allowed certificate identifies its caller; none, an expired, an unknown and a disallowed one do not`, async () => {
      const port = await start(tls(`, client_auth: ${how}`));
      assert.equal(await ask(port, ada), 200);
      assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-machine"), ["ada"]);
      assert.equal(await ask(port, ada, claims, "/own/ada"), 200);
      assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-machine"), ["ada"]);
      assert.equal(await ask(port, ada, [], "/own/bob"), 403);
      const before = backend.calls.length;
      const nobody = how === "request" ? 401 : 0;
      for (const [client, lines] of [
        [undefined, []],
        [undefined, claims],
        [old, []],
        [foreign, claims],
      ] as const) {
        assert.equal(await ask(port, client, lines), nobody);
        assert.equal(await ask(port, client, lines, "/get/a", { maxVersion: "TLSv1.2" }), nobody);
      }
      assert.equal(await ask(port, bob, claims), 401);
      // A certificate without the chain to its authority, or with the authority itself in its place.
      assert.equal(
        await ask(port, { ...foreign, cert: Buffer.concat([foreign.cert, stranger.ca.cert]) }),
        nobody,
      );
      assert.equal(
        await ask(port, { ...foreign, cert: Buffer.concat([foreign.cert, authority.ca.cert]) }),
        nobody,
      );
      assert.equal(backend.calls.length, before);
    });
  }

  test("an mtls provider without client_ca is an error, and plain HTTP at its listener reaches no route", async () => {
    await assert.rejects(
      start(""),
      /client certificates need listeners\.http\.tls\.client_ca; it is missing/,
    );
    const port = await start(tls());
    const plain = await send(`http://127.0.0.1:${port}/get/a`).catch(() => undefined);
    assert.ok(plain === undefined || plain.status >= 400);
  });
});
