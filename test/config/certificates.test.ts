import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { Workspace } from "./workspace.js";

const workspace = new Workspace();

test("a certificate that has expired, or expires within 14 days, is a warning", {
  skip: withoutOpenssl,
}, () => {
  const authority = new Authority("test");
  for (const [days, verb] of [
    [-1, "expired"],
    [12, "expires"],
    [20, "lasts"],
  ] as const) {
    const { cert, certFile, keyFile } = authority.issue(verb, `/CN=${verb}`, "", days);
    const day = new Date(new X509Certificate(cert).validTo).toISOString().slice(0, 10);
    const yaml = `listeners: { http: { address: ":0", tls: { cert: ${certFile}, key: ${keyFile} } } }\n`;
    const said = `gateway.yaml:1:50: warning: the certificate ${verb} on ${day} (at listeners.http.tls.cert)`;
    assert.deepEqual(workspace.problems(yaml), verb === "lasts" ? [] : [said]);
    assert.notEqual(workspace.load(yaml).config, undefined);
  }
});
