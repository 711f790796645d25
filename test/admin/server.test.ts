import assert from "node:assert/strict";
import http from "node:http";
import https from "node:https";
import { connect } from "node:net";
import { test } from "node:test";
import { type AdminOptions, type AdminServer, startAdmin } from "../../src/admin/server.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";

const metrics = new Metrics({ version: "1.2.3", buckets: [1] });

async function withAdmin(
  changes: Partial<AdminOptions>,
  use: (admin: AdminServer) => Promise<void>,
): Promise<void> {
  const admin = await startAdmin({
    address: { host: "127.0.0.1", port: 0 },
    metrics,
    ready: () => ({ ready: true, checks: { config: { ok: true, message: "loaded" } } }),
    status: () => ({}),
    config: () => ({ livekit: { api_secret: "<redacted>" } }),
    bindings: () => [{ method: "GET", template: "/v1/articles" }],
    ...changes,
  });
  try {
    await use(admin);
  } finally {
    await admin.close();
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function request(admin: AdminServer, path: string, options: https.RequestOptions = {}): Promise<Answer> {
  const client = options.ca === undefined ? http : https;
  return new Promise((resolve, reject) => {
    const { host, port } = admin.address;
    client
      .request({ host, port, path, agent: false, ...options }, async response => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode, headers: response.headers, body });
      })
      .on("error", reject)
      .end();
  });
}

/** The whole answer to bytes that no HTTP client would send. */
function raw(admin: AdminServer, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(admin.address.port, admin.address.host, () => socket.write(text));
    socket
      .on("data", chunk => {
        answer += chunk;
      })
      .on("end", () => resolve(answer))
      .on("error", reject);
  });
}

test("metrics are served in the Prometheus text format", () =>
  withAdmin({}, async admin => {
    const { status, headers, body } = await request(admin, "/metrics");
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert.match(body, /^protogate_build_info\{version="1\.2\.3"/m);
  }));

test("/livez responds ok, and HEAD like GET without a body", () =>
  withAdmin({}, async admin => {
    const { status, headers, body } = await request(admin, "/livez");
    assert.deepEqual([status, headers["content-type"], body], [200, "text/plain; charset=utf-8", "ok"]);
    const head = await request(admin, "/livez", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"], head.body], [200, "2", ""]);
  }));

test("/readyz evaluates readiness at each request and lists what is missing", async () => {
  let ok = true;
  const ready: AdminOptions["ready"] = () => ({
    ready: ok,
    checks: { chat: { ok, message: ok ? "1 endpoint" : "no endpoint of upstream chat is healthy" } },
  });
  await withAdmin({ ready }, async admin => {
    assert.equal((await request(admin, "/readyz")).status, 200);
    ok = false;
    const { status, headers, body } = await request(admin, "/readyz");
    assert.deepEqual([status, headers["content-type"]], [503, "application/json; charset=utf-8"]);
    assert.deepEqual(JSON.parse(body), {
      ready: false,
      checks: { chat: { ok: false, message: "no endpoint of upstream chat is healthy" } },
    });
  });
});

test("a request with two Host headers, or one that is not a host, is refused", () =>
  withAdmin({}, async admin => {
    const at = `127.0.0.1:${admin.address.port}`;
    for (const hosts of [`host: ${at}\r\nhost: ${at}`, `host: ${at}\r\nHOST: evil.example`, "host: a/b"]) {
      const answer = await raw(admin, `GET /livez HTTP/1.1\r\n${hosts}\r\nconnection: close\r\n\r\n`);
      assert.match(answer, /^HTTP\/1\.1 400 /, hosts);
      assert.match(answer, /MALFORMED_REQUEST/, hosts);
    }
  }));

test("/config and /bindings respond with JSON", () =>
  withAdmin({}, async admin => {
    const config = await request(admin, "/config");
    assert.equal(config.headers["content-type"], "application/json; charset=utf-8");
    assert.deepEqual(JSON.parse(config.body), { livekit: { api_secret: "<redacted>" } });
    const bindings = await request(admin, "/bindings");
    assert.deepEqual(JSON.parse(bindings.body), [{ method: "GET", template: "/v1/articles" }]);
  }));

test("admin responses are not cached, sniffed or shared with other origins", () =>
  withAdmin({}, async admin => {
    for (const path of ["/metrics", "/livez", "/readyz", "/config", "/bindings", "/nothing"]) {
      const { headers } = await request(admin, path, { headers: { origin: "https://evil.example" } });
      assert.equal(headers["cache-control"], "no-store", path);
      assert.equal(headers["x-content-type-options"], "nosniff", path);
      assert.equal(headers["access-control-allow-origin"], undefined, path);
    }
  }));

test("an unknown admin path is 404 and another method 405 with Allow, both as JSON", () =>
  withAdmin({}, async admin => {
    const missing = await request(admin, "/nothing?x=1");
    assert.equal(missing.status, 404);
    assert.equal(missing.headers["content-type"], "application/json; charset=utf-8");
    assert.deepEqual(JSON.parse(missing.body), {
      code: 5,
      reason: "ROUTE_NOT_FOUND",
      message: "nothing at /nothing; there is /, /status, /metrics, /livez, /readyz, /config and /bindings",
      details: [],
    });
    const posted = await request(admin, "/metrics?x=1", { method: "POST" });
    assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"]);
    assert.equal(JSON.parse(posted.body).reason, "METHOD_NOT_ALLOWED");
  }));

test("an admin callback that throws is a 500 that says why, and the listener lives on", () =>
  withAdmin(
    {
      config: () => {
        throw new Error("no configuration yet");
      },
      bindings: () => ({ count: 1n }),
    },
    async admin => {
      const { status, body } = await request(admin, "/config");
      assert.equal(status, 500);
      assert.deepEqual(JSON.parse(body), {
        code: 13,
        reason: "INTERNAL",
        message: "no configuration yet",
        details: [],
      });
      assert.equal((await request(admin, "/bindings")).status, 500);
      assert.equal((await request(admin, "/livez")).status, 200);
    },
  ));

test("an admin callback that returns nothing is shown as null", () =>
  withAdmin({ config: () => undefined }, async admin => {
    assert.equal((await request(admin, "/config")).body, "null");
  }));

test("an admin listener on loopback serves local Host headers with any port", () =>
  withAdmin({}, async admin => {
    for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:9090", "[::1]:9090", "[::1]"])
      assert.equal((await request(admin, "/livez", { headers: { host } })).status, 200, host);
    assert.match(await raw(admin, "GET /livez HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 /);
  }));

test("an admin listener on loopback refuses a foreign Host header on any path", () =>
  withAdmin({}, async admin => {
    for (const host of [
      "evil.example",
      "evil.example:9090",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
    ]) {
      for (const path of ["/config", "/nothing"]) {
        const { status, body } = await request(admin, path, { headers: { host } });
        assert.equal(status, 421, host);
        assert.equal(JSON.parse(body).reason, "MISDIRECTED_REQUEST");
      }
    }
  }));

test("an admin listener on all addresses serves every Host header", () =>
  withAdmin({ address: { host: "0.0.0.0", port: 0 } }, async admin => {
    const options = { host: "127.0.0.1", headers: { host: "gateway.internal:9090" } };
    assert.equal((await request(admin, "/livez", options)).status, 200);
  }));

test("an admin path that cannot be decoded is a JSON 400", () =>
  withAdmin({}, async admin => {
    const { status, body } = await request(admin, "/%zz");
    assert.equal(status, 400);
    assert.equal(JSON.parse(body).reason, "MALFORMED_PATH");
  }));

test("an admin address in use rejects with the system's error", () =>
  withAdmin({}, async admin => {
    await assert.rejects(
      withAdmin({ address: admin.address }, async () => {}),
      { code: "EADDRINUSE" },
    );
  }));

test("closing the admin listener ends idle keep-alive connections", async () => {
  const agent = new http.Agent({ keepAlive: true });
  await withAdmin({}, async admin => {
    assert.equal((await request(admin, "/livez", { agent })).status, 200);
  });
  agent.destroy();
});

test("with a certificate it speaks TLS", { skip: withoutOpenssl }, () => {
  const authority = new Authority("admin");
  const tls = authority.issue("admin", "/CN=localhost", "DNS.1=localhost");
  return withAdmin({ tls }, async admin => {
    const { status, body } = await request(admin, "/livez", {
      ca: authority.ca.cert,
      servername: "localhost",
    });
    assert.deepEqual([status, body], [200, "ok"]);
  });
});
