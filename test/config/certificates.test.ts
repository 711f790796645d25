import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace();

test("a certificate whose time is over is a warning", { skip: withoutOpenssl }, () => {
  const authority = new Authority("test");
  for (const [over, verb] of [
    [true, "expired"],
    [false, "lasts"],
  ] as const) {
    const { cert, certFile, keyFile } = authority.issue(verb, `/CN=${verb}`, "", over);
    const day = new Date(new X509Certificate(cert).validTo).toISOString().slice(0, 10);
    const yaml = `listeners: { http: { address: ":0", tls: { cert: ${certFile}, key: ${keyFile} } } }\n`;
    const said = `gateway.yaml:1:50: warning: the certificate expired on ${day} (at listeners.http.tls.cert)`;
    assert.deepEqual(workspace.problems(yaml), over ? [said] : []);
    assert.notEqual(workspace.load(yaml).config, undefined);
  }
});
