import assert from "node:assert/strict";
import { test } from "node:test";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { serve } from "./harness.js";

test("rooms work over TLS, with a message larger than one record and a close code", {
  skip: withoutOpenssl,
}, async t => {
  const authority = new Authority("test");
  const { ca } = authority;
  const tls = authority.issue("server", "/CN=localhost", "DNS.1=localhost\nIP.1=127.0.0.1");
  const { open, realtime } = await serve(t, { server: { tls } });
  const [a, b] = [await open({ ca: ca.cert }), await open({ ca: ca.cert })];
  await a.join("x", "A");
  await b.join("x", "B");
  const message = "é".repeat(25_000);
  a.say({ type: "send-message", room_id: "x", message });
  assert.equal((await b.next("receive-message")).message, message);
  realtime.hub.disconnect({ subject: "B", reason: "bye" });
  assert.deepEqual(await b.closed, { code: 4403, reason: "bye" });
});

test("a certificate that cannot be used is named", async t => {
  const tls = {
    cert: Buffer.from(""),
    key: Buffer.from(""),
    certFile: "/nowhere/cert.pem",
    keyFile: "/nowhere/key.pem",
  };
  await assert.rejects(serve(t, { server: { tls } }), /the certificate \/nowhere\/cert\.pem cannot be used/);
});

test("a port that is taken is the system's error", async t => {
  const { port } = await serve(t);
  await assert.rejects(serve(t, { server: { port } }), { code: "EADDRINUSE" });
});
