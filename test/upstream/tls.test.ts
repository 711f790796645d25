import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ServerCredentials } from "@grpc/grpc-js";
import { Code } from "../../src/status/code.js";
import type { CallStatus } from "../../src/upstream/channel.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import type { TlsOptions } from "../../src/upstream/options.js";
import { type Backend, openChannel, startBackend, type UnaryHandler, unaryCall } from "./backend.js";
import { underTest } from "./transport-under-test.js";

const skip = spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";

let folder: string;
let plainTls: Backend;
let mutualTls: Backend;
let authority = "";

const echoAuthority: UnaryHandler = (call, reply) => {
  authority = call.getHost();
  reply(null, call.request);
};

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
}

/** A key and a certificate for this name, signed by the authority of the tests. */
function issue(name: string, subjectAltName: string): void {
  openssl(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
    "-subj",
    `/CN=${name}`,
    "-addext",
    `subjectAltName=${subjectAltName}`,
  );
  openssl(
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-copy_extensions",
    "copy",
    "-out",
    `${name}.pem`,
  );
}

function pem(file: string): Buffer {
  return readFileSync(join(folder, file));
}

before(async () => {
  if (skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), "protogate-tls-"));
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "2",
    "-subj",
    "/CN=Test CA",
  );
  issue("server", "DNS:localhost,DNS:chat.internal");
  issue("client", "DNS:client");
  const pair = [{ private_key: pem("server.key"), cert_chain: pem("server.pem") }];
  plainTls = await startBackend({
    unary: echoAuthority,
    credentials: ServerCredentials.createSsl(null, pair),
  });
  mutualTls = await startBackend({
    unary: echoAuthority,
    credentials: ServerCredentials.createSsl(pem("ca.pem"), pair, true),
  });
});

after(() => {
  if (skip !== false) return;
  plainTls.stop();
  mutualTls.stop();
  rmSync(folder, { recursive: true });
});

async function call(target: string, tls: TlsOptions | undefined): Promise<CallStatus> {
  const channel = openChannel([target], tls === undefined ? {} : { tls });
  const { status } = await channel.unary(unaryCall());
  await channel.close();
  return status;
}

test("TLS: a server is accepted under the name of the target", { skip }, async () => {
  const status = await call(`dns:///localhost:${plainTls.port}`, { ca: pem("ca.pem") });
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(authority, `localhost:${plainTls.port}`);
});

test("TLS: server_name replaces the target's name, also as :authority", { skip }, async () => {
  const status = await call(plainTls.address, { ca: pem("ca.pem"), serverName: "chat.internal" });
  assert.equal(status.code, Code.OK, status.message);
  assert.equal(authority, "chat.internal");
});

test("TLS: a server under another name is refused", { skip }, async () => {
  const status = await call(plainTls.address, { ca: pem("ca.pem"), serverName: "other.internal" });
  assert.equal(status.code, Code.UNAVAILABLE);
  assert.equal(status.origin, "connect");
  assert.match(status.message, /other\.internal/);
});

test("TLS: a server with a certificate of an unknown authority is refused", { skip }, async () => {
  const status = await call(`localhost:${plainTls.port}`, {});
  assert.equal(status.code, Code.UNAVAILABLE);
  assert.equal(status.origin, "connect");
  assert.match(status.message, /certificate/);
});

test("TLS: a client certificate is presented to a server that requests one", { skip }, async () => {
  const ca = pem("ca.pem");
  const status = await call(`localhost:${mutualTls.port}`, {
    ca,
    cert: pem("client.pem"),
    key: pem("client.key"),
  });
  assert.equal(status.code, Code.OK, status.message);
});

test("TLS: a server that requires a client certificate cannot be called without one", { skip }, async () => {
  const status = await call(`localhost:${mutualTls.port}`, { ca: pem("ca.pem") });
  assert.equal(status.code, Code.UNAVAILABLE);
  assert.equal(status.origin, "connect");
});

test("TLS: plain text to a TLS server cannot connect", { skip }, async () => {
  const status = await call(plainTls.address, undefined);
  assert.equal(status.origin, "connect");
});

test("TLS: material that is not PEM is an error with the upstream's name", () => {
  const options = {
    name: "chat",
    targets: ["127.0.0.1:1"],
    balancing: "pick_first",
    maxMessageSize: 1,
    ...underTest,
  } as const;
  const tls = { cert: Buffer.from("no"), key: Buffer.from("no") };
  assert.throws(() => createChannel({ ...options, tls }), /^Error: upstream "chat": /);
});
