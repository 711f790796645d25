import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signShared } from "../auth/tokens.js";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { call, enveloped, envelopes, webTrailers } from "./client.js";

const secret = "0123456789abcdef0123456789abcdef";
let system: EchoSystem;
let base: string;
let token: string;

before(async () => {
  system = await startEcho(
    'auth: [users], rate_limit: few, metadata: { request: ["x-*", "y-*-bin"] }, methods: { Clear: { auth: none }, Attach: { rate_limit: one } }',
    `
rate_limits:
  few: { requests: 1000, per: 1s, key: ip }
  one: { requests: 1, per: 1h, key: ip }
auth:
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { sub: x-user-id } }
  policies:
    - { match: { rpc: test.v1.Echo/Create }, require: { rule: "request.id == claim.sub" } }
    - { match: { route: "/v1/lists" }, require: { claims: { role: admin } } }
    - { match: { route: "/v1/names/root" }, require: { claims: { role: admin } } }
`,
  );
  base = `${system.gateway.url}/test.v1.Echo`;
  token = `Bearer ${await signShared(secret, { sub: "7" })}`;
});
after(() => system.close());

const post = (name: string, json: string, headers: Record<string, string> = { authorization: token }) =>
  call(`${base}/${name}`, "application/json", json, headers);
const code = (body: Buffer): string => JSON.parse(body.toString()).code;

/** How often the backend is called meanwhile. */
async function calls(act: () => Promise<unknown>): Promise<number> {
  const before = system.backend.calls.length;
  await act();
  return system.backend.calls.length - before;
}

test("a call by RPC path needs the credentials of its method, and is refused in its protocol's form", async () => {
  const none = await calls(async () => {
    const connect = await post("Get", "{}", {});
    assert.equal(connect.status, 401);
    assert.equal(code(connect.body), "unauthenticated");
    assert.match(connect.headers.get("www-authenticate") ?? "", /^Bearer/);
    const web = await call(`${base}/Get`, "application/grpc-web", enveloped(0, Buffer.alloc(0)));
    assert.equal(webTrailers(web.body)["grpc-status"], "16");
    const details = Buffer.from(webTrailers(web.body)["grpc-status-details-bin"] ?? "", "base64").toString(
      "latin1",
    );
    assert.match(details, /google.rpc.ErrorInfo.*CREDENTIALS_MISSING/s);
  });
  assert.equal(none, 0);
  assert.equal((await post("Get", "{}")).status, 200);
  assert.equal((await post("Clear", "{}", {})).status, 200);
});

test("policies on fields read the message of every protocol", async () => {
  const none = await calls(async () => {
    assert.equal(code((await post("Create", '{"id":"8"}')).body), "permission_denied");
    const web = await call(
      `${base}/Create`,
      "application/grpc-web",
      enveloped(0, Buffer.from([0x0a, 1, 0x38])),
      {
        authorization: token,
      },
    );
    assert.equal(webTrailers(web.body)["grpc-status"], "7");
    // The last of repeated singular fields is what the backend reads.
    const twice = Buffer.from([0x0a, 1, 0x37, 0x0a, 1, 0x38]);
    const proto = await call(`${base}/Create`, "application/proto", twice, { authorization: token });
    assert.equal(code(proto.body), "permission_denied");
  });
  assert.equal(none, 0);
  assert.equal((await post("Create", '{"id":"7"}')).status, 200);
});

test("a policy of any route of the method holds by RPC path, and one that reads the path refuses", async () => {
  const none = await calls(async () => {
    assert.equal(code((await post("List", "{}")).body), "permission_denied");
    const denied = await post("Rename", '{"longName":"any"}');
    assert.equal(code(denied.body), "permission_denied");
    assert.match(denied.body.toString(), /path policy/);
  });
  assert.equal(none, 0);
  const admin = { authorization: `Bearer ${await signShared(secret, { sub: "7", role: "admin" })}` };
  assert.equal((await post("List", "{}", admin)).status, 200);
});

test("a rate limit counts calls of every protocol, and says no in its form", async () => {
  assert.equal((await post("Attach", "{}")).status, 200);
  const web = await call(`${base}/Attach`, "application/grpc-web", enveloped(0, Buffer.alloc(0)), {
    authorization: token,
  });
  assert.equal(web.status, 200);
  assert.equal(webTrailers(web.body)["grpc-status"], "8");
  assert.ok(Number(web.headers.get("retry-after")) > 0);
  assert.equal((await post("Attach", "{}")).status, 429);
});

test("a glob passes metadata by its name, but nothing that HTTP, gRPC, a provider or the caller's credentials own", async () => {
  await post("Get", "{}", {
    authorization: token,
    "x-custom": "1",
    "x-user-id": "root",
    "x-forwarded-for": "9.9.9.9",
    "x-data-bin": "AA",
    "y-data-bin": "AAE",
    "y-data": "no",
    "x-grpc-web": "1",
  });
  const { metadata } = system.backend.calls.at(-1) ?? {};
  assert.deepEqual(metadata?.get("x-custom"), ["1"]);
  assert.deepEqual(metadata?.get("x-user-id"), ["7"]);
  assert.deepEqual(metadata?.get("x-forwarded-for"), ["127.0.0.1"]);
  assert.deepEqual(metadata?.get("y-data-bin"), [Buffer.from([0, 1])]);
  for (const name of ["x-data-bin", "y-data", "x-grpc-web", "authorization"])
    assert.deepEqual(metadata?.get(name), [], name);
});

test("REST passes metadata by the same globs, and no claim of a client without authentication", async () => {
  await fetch(`${system.gateway.url}/v1/items`, {
    method: "DELETE",
    headers: { "x-user-id": "root", "x-custom": "2" },
  });
  const { metadata } = system.backend.calls.at(-1) ?? {};
  assert.deepEqual(metadata?.get("x-user-id"), []);
  assert.deepEqual(metadata?.get("x-custom"), ["2"]);
});

test("the rest of a response stays what it was: one message and its trailers", async () => {
  const { body } = await call(`${base}/Clear`, "application/grpc-web", enveloped(0, Buffer.alloc(0)));
  assert.deepEqual(
    envelopes(body).map(({ flags }) => flags),
    [0, 0x80],
  );
});
