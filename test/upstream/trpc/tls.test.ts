import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startTrpcServer } from "../../../src/demo/trpc/server.js";
import { call, methods, textOf, trpcChannel } from "./backend.js";

const skip = spawnSync("openssl", ["version"]).error === undefined ? false : "openssl is not installed";

test("tRPC goes over TLS, to servers whose certificate has the expected name", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-trpc-"));
  const args = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    "key.pem",
    "-out",
    "cert.pem",
  ];
  const name = ["-days", "2", "-subj", "/CN=trpc", "-addext", "subjectAltName=DNS:trpc.test"];
  execFileSync("openssl", ["req", "-x509", ...args, ...name], { cwd: folder, stdio: "ignore" });
  const [key, cert] = ["key.pem", "cert.pem"].map(file => readFileSync(join(folder, file)));
  rmSync(folder, { recursive: true });
  assert.ok(key !== undefined && cert !== undefined);
  const server = await startTrpcServer({ methods: methods(), tls: { key, cert } });
  const channel = trpcChannel([server.address], { tls: { ca: cert, serverName: "trpc.test" } });
  assert.equal(textOf(await call(channel, "Echo", "secret")), "secret");
  const wrongName = trpcChannel([server.address], { tls: { ca: cert, serverName: "other.test" } });
  assert.match((await call(wrongName, "Echo")).status.message, /other\.test|altnames/i);
  const unknown = trpcChannel([server.address], { tls: { serverName: "trpc.test" } });
  assert.match((await call(unknown, "Echo")).status.message, /self.signed certificate/i);
  await Promise.all([channel, wrongName, unknown].map(each => each.close()));
  await server.close();
});
