import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { echo, send, startBackend, startTestGateway } from "../../../gateway/harness.js";
import { converse, statusesOf } from "../../../server/raw-client.js";
import { signShared } from "../../tokens.js";

const secret = "0123456789abcdef0123456789abcdef";
const proto = readFileSync(new URL("../guarded.proto", import.meta.url), "utf8");
const backend = await startBackend({
  "/guarded.Orders/Get": echo,
  "/guarded.Orders/List": echo,
  "/guarded.Plain/Get": echo,
});
const yaml = (policies: string): string => `
descriptors: [{ protos: protos }]
upstreams: { back: { targets: ["127.0.0.1:${backend.port}"] } }
services:
  - { service: guarded.Orders, upstream: back, bindings: [auto], auth: users, rate_limit: none }
  - { service: guarded.Plain, upstream: back, bindings: [auto], auth: users }
http:
  rules:
    - selector: guarded.Orders.Get
      get: "/users/{user_id}/orders/{number}"
      additional_bindings:
        - { post: "/orders", body: "*" }
        - { put: "/owners/{owner.id}", body: "owner" }
    - { selector: guarded.Orders.List, get: "/lists/{user_id=**}", additional_bindings: [{ get: "/lists/{user_id}:all" }] }
    - { selector: guarded.Plain.Get, get: "/{name}/plain" }
auth:
  providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } }
  policies: ${policies}
`;
const gateway = await startTestGateway(
  yaml(`
    - { name: own, match: { rpc: guarded.Orders/Get }, require: { rule: "claim.sub == request.user_id || claim.sub == request.owner.id" } }
    - { name: staff, match: { route: "/lists/staff/**" }, require: { scopes: [staff] } }
    - { name: admins, match: { route: "/admin/**" }, require: { scopes: [admin] } }
`),
  { "protos/guarded.proto": proto },
);
after(async () => {
  await gateway.close();
  await backend.close();
});

const token = await signShared(secret, { sub: "jdoe", scope: "read" });
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

function call(method: string, path: string, body?: unknown) {
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  return send(`${gateway.url}${path}`, init);
}

/** The status of a path as it is written, which no client library has made tidy. */
async function statusOf(path: string): Promise<number> {
  const request = `GET ${path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`;
  const { text } = await converse(gateway.httpPort, [request], 1, true);
  return Number(statusesOf(text)[0]);
}

test("a policy on a field holds whether path, query or body set it, and what is refused reaches no backend", async () => {
  assert.equal((await call("GET", "/users/jdoe/orders/7")).status, 200);
  assert.equal((await call("GET", "/users/jdoe/orders/7?user_id=jdoe")).status, 200);
  assert.equal((await call("POST", "/orders", { userId: "jdoe" })).status, 200);
  assert.equal((await call("POST", "/orders", { owner: { id: "jdoe" } })).status, 200);
  assert.equal((await call("PUT", "/owners/jdoe", { number: "1" })).status, 200);
  const reached = backend.calls.length;
  for (const [method, path, body, status] of [
    ["GET", "/users/root/orders/7", undefined, 403],
    ["GET", "/users/root/orders/7?user_id=jdoe", undefined, 400],
    ["GET", "/users/root/orders/7?userId=jdoe", undefined, 400],
    ["GET", "/users/jdoe/orders/7?user_id=root", undefined, 400],
    ["POST", "/orders", { userId: "root" }, 403],
    ["POST", "/orders", { userId: "jdoe", user_id: "root" }, 400],
    ["POST", "/orders", {}, 403],
    ["POST", "/orders", { owner: { id: "root" }, members: [{ id: "jdoe" }] }, 403],
    ["PUT", "/owners/root", { number: "1" }, 403],
    ["PUT", "/owners/root", { id: "jdoe" }, 400],
    ["POST", "/guarded.Orders/Get", { userId: "root" }, 403],
  ] as const) {
    assert.equal(
      (await call(method, path, body)).status,
      status,
      `${method} ${path} ${JSON.stringify(body)}`,
    );
  }
  assert.equal(backend.calls.length, reached);
});

test("a refusal says nothing of the policy to the client, and its name to the log", async () => {
  const answer = await call("GET", "/users/root/orders/8");
  assert.deepEqual(
    [answer.status, answer.json.code, answer.json.reason, answer.json.message],
    [403, 7, "POLICY_DENIED", "a policy does not allow this request"],
  );
  assert.doesNotMatch(answer.text, /own|sub|claim/);
  const line = await gateway.logged(each => each.path === "/users/root/orders/8");
  assert.match(JSON.stringify(line), /policy \\"own\\"/);
  const lists = await call("GET", "/lists/staff/a");
  assert.equal(lists.json.reason, "SCOPE_MISSING");
  assert.equal(lists.headers.get("www-authenticate"), 'Bearer error="insufficient_scope", scope="staff"');
});

test("no spelling of a path reaches a guarded route under a weaker policy", async () => {
  assert.equal(await statusOf("/lists/jdoe/a"), 200);
  assert.equal(await statusOf("/x/plain"), 200);
  for (const path of [
    "/lists/staff/a",
    "/lists/staff",
    "/lists/staff/",
    "/lists//staff/a",
    "/lists/%73taff/a",
    "/lists/STAFF/a",
    "/lists/staff;v=1/a",
    "/lists/staff%2Fa",
    "/lists/staff%2fa:all",
    "/lists/staff%5Ca",
    "/lists/staff%252Fa",
    "/lists/staff:all",
    "/lists/x/..;/staff/a",
    "/admin/plain",
    "/%61dmin/plain",
    "/ADMIN/plain",
    "/admin;x/plain",
    "/admin%2Fx/plain",
  ]) {
    assert.equal(await statusOf(path), 403, path);
  }
  for (const path of ["/lists/%2e%2e/lists/staff/a", "/lists/x/../staff/a", "/lists/x%2F..%2Fstaff"]) {
    assert.equal(await statusOf(path), 400, path);
  }
  for (const path of ["//lists/staff/a", "/LISTS/staff/a", "/lists;x/staff/a", "/%2Flists/staff/a"]) {
    assert.equal(await statusOf(path), 404, path);
  }
});

test("decisions are in the metrics, and what does not fit is an error that keeps the old policies", async () => {
  const { text } = await send(`${gateway.admin}/metrics`);
  assert.match(text, /protogate_policy_decisions_total\{policy="own",result="denied"\} [1-9]/);
  assert.match(text, /protogate_policy_decisions_total\{policy="staff",result="denied"\} [1-9]/);
  gateway.write(
    "gateway.yaml",
    yaml(`[{ match: { rpc: guarded.Orders/Get }, require: { rule: "claim.sub == request.usr_id" } }]`),
  );
  await gateway.reload();
  const line = await gateway.logged(each => /reload failed/.test(String(each.msg)));
  assert.match(
    String(line.error),
    /gateway\.yaml:\d+:\d+: error: column 22 of the rule: guarded\.Order has no field "usr_id" .*did you mean "user_id"/,
  );
  assert.equal((await call("GET", "/users/root/orders/7")).status, 403);
});
