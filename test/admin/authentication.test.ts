import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { describe, it, test } from "node:test";
import { type AdminOptions, type AdminServer, startAdmin } from "../../src/admin/server.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { startTestGateway } from "../gateway/harness.js";

const published: string[] = [];

function started(changes: Partial<AdminOptions>): Promise<AdminServer> {
  return startAdmin({
    address: { host: "127.0.0.1", port: 0 },
    metrics: new Metrics({ version: "1", buckets: [1] }),
    ready: () => ({ ready: true, checks: {} }),
    status: () => ({}),
    config: () => ({}),
    bindings: () => [],
    routes: () => [
      {
        method: "POST",
        path: "/realtime/publish",
        handle: async ({ body }) => {
          published.push(Buffer.from(body).toString());
          return { status: 200, body: {} };
        },
      },
    ],
    ...changes,
  });
}

const guarded = [
  "/status",
  "/status/nothing",
  "/metrics",
  "/config",
  "/bindings",
  "/realtime/publish",
  "/nothing",
];
const publish: RequestInit = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };

test("with a token the admin listener serves operators alone: 401 with a challenge for all but the probes and the files of the status page", async () => {
  const admin = await started({ token: () => "s3cret" });
  const url = `http://127.0.0.1:${admin.address.port}`;
  try {
    for (const path of guarded) {
      const refused = await fetch(url + path, path.endsWith("publish") ? publish : {});
      assert.equal(refused.status, 401, path);
      assert.equal(refused.headers.get("www-authenticate"), 'Bearer realm="admin"', path);
      assert.equal(((await refused.json()) as { reason: string }).reason, "CREDENTIALS_MISSING", path);
    }
    assert.deepEqual(published, []);
    for (const authorization of ["Bearer", "Bearer s3cre", "Bearer s3cret2", "Basic czNjcmV0", "s3cret"]) {
      const refused = await fetch(`${url}/metrics`, { headers: { authorization } });
      assert.equal(refused.status, 401, authorization);
      assert.equal(((await refused.json()) as { reason: string }).reason, "CREDENTIALS_INVALID");
    }
    for (const path of ["/livez", "/readyz", "/readyz?verbose"]) {
      assert.equal((await fetch(url + path)).status, 200, path);
      assert.equal((await fetch(url + path, { method: "HEAD" })).status, 200, path);
    }
    for (const path of ["/", "/status/main.js", "/status/theme.css", "/status/status.css"]) {
      const page = await fetch(url + path);
      assert.equal(page.status, 200, path);
      assert.match(
        page.headers.get("content-security-policy") ?? "",
        /^default-src 'none'; script-src 'self'/,
      );
    }
    const authorization = "Bearer s3cret";
    for (const path of ["/status", "/metrics", "/config", "/bindings"])
      assert.equal((await fetch(url + path, { headers: { authorization } })).status, 200, path);
    assert.equal((await fetch(`${url}/nothing`, { headers: { authorization } })).status, 404);
    const { headers, ...rest } = publish;
    const sent = await fetch(`${url}/realtime/publish`, { ...rest, headers: { ...headers, authorization } });
    assert.equal(sent.status, 200);
    assert.deepEqual(published, ["{}"]);
  } finally {
    await admin.close();
  }
});

describe("client certificates of the admin listener", { skip: withoutOpenssl }, () => {
  const own = withoutOpenssl ? undefined : new Authority("ours");
  const server = own?.issue("server", "/CN=localhost", "DNS.1=localhost");
  const operator = own?.issue("operator", "/CN=ada");
  const expired = own?.issue("expired", "/CN=old", "", -1);
  const stranger = withoutOpenssl ? undefined : new Authority("theirs").issue("stranger", "/CN=eve");

  const get = (admin: AdminServer, path: string, options: RequestOptions): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = admin.address;
      const whole = { host: "localhost", port, path, ca: own!.ca.cert, agent: false, ...options };
      httpsRequest(whole, response => {
        response.resume().on("end", () => resolve(response.statusCode));
      })
        .on("error", reject)
        .end();
    });

  it("a certificate of its authorities or the token is served, another certificate and none are 401", async () => {
    const admin = await started({ tls: server, clientCa: own!.ca.cert, token: () => "s3cret" });
    try {
      assert.equal(await get(admin, "/metrics", { cert: operator!.cert, key: operator!.key }), 200);
      assert.equal(await get(admin, "/metrics", { headers: { authorization: "Bearer s3cret" } }), 200);
      assert.equal(await get(admin, "/metrics", { cert: stranger!.cert, key: stranger!.key }), 401);
      assert.equal(await get(admin, "/metrics", { cert: expired!.cert, key: expired!.key }), 401);
      assert.equal(await get(admin, "/metrics", {}), 401);
      assert.equal(await get(admin, "/livez", {}), 200);
    } finally {
      await admin.close();
    }
  });

  it("without a token only certificates are served, whatever Authorization says", async () => {
    const admin = await started({ tls: server, clientCa: own!.ca.cert });
    try {
      assert.equal(await get(admin, "/config", { cert: operator!.cert, key: operator!.key }), 200);
      assert.equal(await get(admin, "/config", { headers: { authorization: "Bearer " } }), 401);
      assert.equal(await get(admin, "/config", {}), 401);
    } finally {
      await admin.close();
    }
  });

  it("the admin listener of a gateway requires the client certificates of its configuration", async () => {
    const { certFile: cert, keyFile: key } = server!;
    const section = { tls: { cert, key }, client_ca: own!.ca.certFile };
    const gateway = await startTestGateway("", {}, undefined, { admin: section });
    try {
      const admin = { address: { host: "localhost", port: Number(new URL(gateway.admin).port) } };
      const asked = { cert: readFileSync(operator!.certFile), key: readFileSync(operator!.keyFile) };
      assert.equal(await get(admin as AdminServer, "/config", asked), 200);
      assert.equal(await get(admin as AdminServer, "/config", {}), 401);
    } finally {
      await gateway.close();
    }
  });
});

test("a reload changes the token of the admin listener; taking it away keeps the old one and says so", async () => {
  const gateway = await startTestGateway("", {}, undefined, { admin: { token: "first" } });
  const status = async (token: string): Promise<number> =>
    (await fetch(`${gateway.admin}/config`, { headers: { authorization: `Bearer ${token}` } })).status;
  try {
    assert.deepEqual([await status("first"), await status("second")], [200, 401]);
    gateway.rewrite("", { admin: { token: "second" } });
    await gateway.reload();
    assert.deepEqual([await status("first"), await status("second")], [401, 200]);
    assert.doesNotMatch(
      await (await fetch(`${gateway.admin}/config`, { headers: { authorization: "Bearer second" } })).text(),
      /second/,
    );
    gateway.rewrite("", {});
    await gateway.reload();
    assert.deepEqual([await status("first"), await status("second")], [401, 200]);
    const warning = await gateway.logged(line => line.settings !== undefined);
    assert.deepEqual(warning.settings, ["listeners.admin.token"]);
  } finally {
    await gateway.close();
  }
});
