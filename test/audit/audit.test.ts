import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { test } from "node:test";
import { auditCommand } from "../../src/cli/audit.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { Workspace } from "../config/workspace.js";

const proto = `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
service Orders {
  rpc Get(Order) returns (Order) { option (google.api.http) = { get: "/orders/{id}" }; }
  rpc Put(Order) returns (Order) { option (google.api.http) = { put: "/orders/{id}" body: "*" }; }
}
service Files { rpc Put(stream Order) returns (Order) { option (google.api.http) = { post: "/files" body: "*" }; } }
message Order { string id = 1; }
`;
const workspace = new Workspace({ "protos/shop.proto": proto, "keys.yaml": "[]\n" });

interface Found {
  readonly severity: string;
  readonly rule: string;
  readonly path: string;
  readonly position: { readonly line: number };
}

async function run(yaml: string, ...options: string[]) {
  const file = workspace.write("gateway.yaml", yaml);
  let text = "";
  const code = await auditCommand(["-c", file, ...options], printed => {
    text += printed;
  });
  return { code, text };
}

async function risks(yaml: string): Promise<string[]> {
  const { text } = await run(yaml, "--json");
  const found = (JSON.parse(text) as { risks: Found[] }).risks;
  return found.map(({ severity, rule, path }) => `${severity} ${rule} ${path}`);
}

const guarded = `
listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
descriptors: [{ protos: ./protos }]
upstreams: { shop: { targets: ["127.0.0.1:1"] } }
services: [{ service: shop.v1.Orders, upstream: shop }]
auth:
  default: users
  providers: { users: { type: jwt, issuer: https://id.example.com, audience: api } }
`;

test("an audit finds nothing in a configuration with a guard for all", async () => {
  const { code, text } = await run(guarded);
  assert.equal(code, 0);
  assert.match(text, /gateway\.yaml: no risky settings found\n$/);
});

const cases: [name: string, yaml: string, expected: string[]][] = [
  [
    "routes without authentication, those that write first",
    guarded.replace("default: users", "default: none"),
    ["high open-route services[0]", "medium open-route-without-limit services[0]"],
  ],
  [
    "a route that is open by intent, as less of a risk",
    `${guarded.replace("upstream: shop }]", "upstream: shop, methods: { Get: { auth: none, rate_limit: few } } }]")}rate_limits: { few: { requests: 5, per: 1s, key: ip } }\n`,
    ["low open-route services[0]"],
  ],
  [
    "a prefix that is passed on without authentication",
    `${guarded.replace("upstreams: { ", "upstreams: { old: { protocol: http, targets: [http://127.0.0.1:1] }, ")}http: { proxy: [{ prefix: /old, upstream: old, auth: none }] }\n`,
    ["medium open-route http.proxy[0]", "medium open-route-without-limit http.proxy[0]"],
  ],
  [
    "listeners that are reached in plain text",
    guarded
      .replace("http: { address: 127.0.0.1:0 }", "http: { address: 0.0.0.0:0 }")
      .replace(
        "admin: { address: 127.0.0.1:0 }",
        'admin: { address: 0.0.0.0:0, token: "a token in the file" }',
      ),
    [
      "high plain-admin-listener listeners.admin",
      "high secret-in-file listeners.admin.token",
      "medium plain-listener listeners.http",
    ],
  ],
  [
    "no plain text behind a trusted proxy",
    `${guarded.replace("http: { address: 127.0.0.1:0 }", "http: { address: 0.0.0.0:0 }")}http: { forwarded: { trusted_hops: 1 } }\n`,
    [],
  ],
  [
    "tokens without an end, an audience or an issuer, and keys in plain text",
    guarded.replace(
      "issuer: https://id.example.com, audience: api",
      "jwks: http://id.example.com/keys, required_claims: [], query: token",
    ),
    [
      "high endless-token auth.providers.users.required_claims",
      "high plain-keys auth.providers.users.jwks",
      "medium credential-in-url auth.providers.users.query",
      "medium any-audience auth.providers.users",
      "low any-issuer auth.providers.users",
    ],
  ],
  [
    "sessions that others can make or get",
    guarded
      .replace("default: users", "default: web")
      .replace(
        "providers: {",
        'providers: { web: { type: oidc_login, issuer: "http://id.example.com", client_id: shop, public_url: "https://shop.example.com", secrets: ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], cookie: { domain: example.com, same_site: none } },',
      ),
    [
      "high secret-in-file auth.providers.web.secrets[0]",
      "high weak-session-secret auth.providers.web.secrets[0]",
      "high plain-issuer auth.providers.web.issuer",
      "medium session-of-subdomains auth.providers.web.cookie.domain",
      "medium session-across-sites auth.providers.web.cookie.same_site",
    ],
  ],
  [
    "calls to other machines in plain text",
    guarded.replace("127.0.0.1:1", "dns:///shop.internal:50051"),
    ["low plain-upstream upstreams.shop"],
  ],
  [
    "any page, documents, reflection and a verbose log",
    `${guarded}http: { cors: { origins: ["*"] }, docs: { auth: none, openapi: /openapi.json }, grpc: { reflection: { auth: none } } }\ntelemetry: { log: { level: debug } }\n`,
    [
      "medium any-origin http.cors.origins",
      "low open-documents http.docs",
      "low open-reflection http.grpc.reflection",
      "low verbose-log telemetry.log.level",
    ],
  ],
  [
    "streams to the engine uws, which cannot always stop a client",
    `${guarded.replace("http: { address: 127.0.0.1:0 }", "http: { address: 127.0.0.1:0, engine: uws }").replace("service: shop.v1.Orders", "service: shop.v1.Files")}`,
    ["low streams-to-uws listeners.http.engine"],
  ],
  [
    "prefixes that are passed on by the engine uws",
    `${guarded.replace("http: { address: 127.0.0.1:0 }", "http: [{ name: a, address: 127.0.0.1:0 }, { name: b, address: 127.0.0.1:0, engine: uws }]").replace("upstreams: { ", "upstreams: { old: { protocol: http, targets: [http://127.0.0.1:1] }, ")}http: { proxy: [{ prefix: /old, upstream: old }] }\n`,
    ["low streams-to-uws listeners.http[1].engine"],
  ],
  [
    "no risk in the engine uws where no body is a stream",
    guarded.replace("http: { address: 127.0.0.1:0 }", "http: { address: 127.0.0.1:0, engine: uws }"),
    [],
  ],
  [
    "sockets that anyone may open",
    `${guarded}realtime: { path: /ws, auth: none }\n`,
    ["high open-sockets realtime"],
  ],
  [
    "sockets that anyone may open, as less of a risk where all rooms need a token",
    `${guarded}realtime: { path: /ws, auth: none, rooms: [{ match: "*", token: { provider: users, claim: room } }] }\n`,
    ["low open-sockets realtime"],
  ],
  [
    "tokens for rooms that never end, or open sockets as well",
    `${guarded.replace("audience: api }", "audience: api, required_claims: [] }")}realtime: { path: /ws, rooms: [{ match: "*", token: { provider: users, claim: room } }] }\n`,
    [
      "high endless-token auth.providers.users.required_claims",
      "low shared-room-provider realtime.rooms[0].token.provider",
      "medium endless-membership realtime.rooms[0].token.provider",
    ],
  ],
];
for (const [name, yaml, expected] of cases) {
  test(`an audit finds ${name}`, async () => {
    assert.deepEqual((await risks(yaml)).toSorted(), expected.toSorted());
  });
}

test("an audit finds a key file that every user of the machine may read", async () => {
  const yaml = guarded.replace(
    "users: { type: jwt",
    "keys: { type: api_key, keys: keys.yaml }, users: { type: jwt",
  );
  chmodSync(workspace.path("keys.yaml"), 0o644);
  assert.deepEqual(await risks(yaml), ["medium readable-key auth.providers.keys.keys"]);
  chmodSync(workspace.path("keys.yaml"), 0o640);
  assert.deepEqual(await risks(yaml), []);
});

test("an audit looks at the keys of one certificate and of a list of them", {
  skip: withoutOpenssl,
}, async () => {
  const { cert, key } = new Authority("Audit").issue("server", "/CN=a", "DNS.1 = a.example");
  workspace.write("a.pem", cert);
  chmodSync(workspace.write("a.key", key), 0o644);
  const tls = "{ cert: a.pem, key: a.key }";
  const listening = (written: string): string =>
    guarded.replace("http: { address: 127.0.0.1:0 }", `http: { address: 127.0.0.1:0, tls: ${written} }`);
  assert.deepEqual(await risks(listening(tls)), ["medium readable-key listeners.http.tls.key"]);
  assert.deepEqual(await risks(listening(`[${tls}]`)), ["medium readable-key listeners.http.tls[0].key"]);
});

test("an audit names the entry that exposes a route where several patterns match", async () => {
  const services =
    "[{ service: shop.**, upstream: shop }, { service: shop.v1.**, upstream: shop, auth: none, rate_limit: few }]";
  const yaml = guarded.replace(/services: .*/, `services: ${services}`);
  const limits = "rate_limits: { few: { requests: 5, per: 1s, key: ip } }\n";
  assert.deepEqual(await risks(yaml + limits), ["medium open-route services[1]"]);
});

test("an audit finds a secret of the command line, and none that the environment gives", async () => {
  const { text } = await run(guarded, "--set", "listeners.admin.token=a token in the open");
  assert.match(
    text,
    /^--set listeners\.admin\.token: high: the configuration itself holds a secret; .* \(secret-in-file at listeners\.admin\.token\)/,
  );
  process.env.AUDIT_TOKEN = "a token of the environment";
  const admin = `admin: { address: 127.0.0.1:0, token: "\${AUDIT_TOKEN}" }`;
  assert.deepEqual(await risks(guarded.replace("admin: { address: 127.0.0.1:0 }", admin)), []);
});

test("the severity that fails an audit is chosen by --fail-on", async () => {
  const plain = guarded.replace("127.0.0.1:1", "dns:///shop.internal:50051");
  assert.equal((await run(plain)).code, 0);
  const { code, text } = await run(plain, "--fail-on", "low");
  assert.equal(code, 1);
  assert.match(
    text,
    /gateway\.yaml:4:\d+: low: calls to dns:\/\/\/shop\.internal:50051 cross .* \(plain-upstream at upstreams\.shop\)/,
  );
  assert.match(text, /0 high, 0 medium, 1 low\n$/);
  await assert.rejects(
    run(plain, "--fail-on", "worst"),
    /expected high, medium, low after --fail-on, found "worst"/,
  );
});
