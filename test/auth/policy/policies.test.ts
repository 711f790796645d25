import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "prom-client";
import { PolicyMetrics } from "../../../src/auth/auth-metrics.js";
import type { Identity } from "../../../src/auth/identity.js";
import type { PolicyConfig } from "../../../src/auth/policy/config.js";
import {
  type AuthorizationTarget,
  createPolicies,
  type Policies,
} from "../../../src/auth/policy/policies.js";
import { parseTemplate } from "../../../src/routing/template-parser.js";
import { type Failure, GatewayError } from "../../../src/status/failure.js";
import { identity, method, order } from "./guarded.js";

const registry = new Registry();
const metrics = new PolicyMetrics(registry);

function policies(...configs: PolicyConfig[]): Policies {
  const locate = (path: readonly (string | number)[]) => ({ file: path.join("/"), line: 1, column: 1 });
  return createPolicies(configs, { locate, metrics });
}

function target(
  httpMethod: string,
  template: string,
  more: { readonly rpc?: AuthorizationTarget["rpc"]; readonly authenticated?: boolean } = {},
): AuthorizationTarget {
  return {
    method: httpMethod,
    template: parseTemplate(template),
    rpc: "rpc" in more ? more.rpc : method("Orders", "Get"),
    authenticated: more.authenticated ?? true,
  };
}

function failureOf(decide: () => void): { readonly failure: Failure; readonly cause: unknown } | undefined {
  try {
    decide();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof GatewayError);
    return { failure: error.failure, cause: error.cause };
  }
}

/** The reason for which a caller is refused before or after the body; undefined where it passes. */
function refusal(
  all: Policies,
  at: AuthorizationTarget,
  who: Identity | undefined,
  fields: Readonly<Record<string, unknown>> = {},
  path: readonly string[] = [],
): string | undefined {
  const authorizer = all.authorizer(at);
  const failed = failureOf(() => {
    authorizer?.before(who, path);
    authorizer?.after?.(who, order(fields), path);
  });
  return failed?.failure.reason;
}

const get = target("GET", "/orders/{user_id}");
const admin = identity(
  { sub: "root", org: "acme", roles: ["ops", "dev"], level: 3, beta: true },
  {
    subject: "root",
    scopes: ["admin", "read"],
  },
);
const user = identity({ sub: "jdoe" }, { scopes: ["read"] });

test("all scopes are required, or any; a missing one is 403 with the challenge of RFC 6750", () => {
  const all = policies({
    name: "both",
    match: { route: "/orders/**" },
    require: { scopes: ["admin", "read"] },
  });
  assert.equal(refusal(all, get, admin), undefined);
  const failed = failureOf(() => all.authorizer(get)?.before(user, []));
  assert.deepEqual(
    [failed?.failure.httpStatus, failed?.failure.code, failed?.failure.reason, failed?.failure.headers],
    [
      403,
      7,
      "SCOPE_MISSING",
      [["www-authenticate", 'Bearer error="insufficient_scope", scope="admin read"']],
    ],
  );
  assert.equal(failed?.cause, 'policy "both"');
  assert.doesNotMatch(JSON.stringify(failed?.failure), /both|jdoe/);

  const any = policies({ match: { route: "/orders/**" }, require: { any_scope: ["admin", "owner"] } });
  assert.equal(refusal(any, get, admin), undefined);
  assert.equal(refusal(any, get, user), "SCOPE_MISSING");
});

test("claims are required by value, by one of a list, and within a list", () => {
  for (const [claims, reason] of [
    [{ org: "acme" }, undefined],
    [{ org: ["umbrella", "acme"], level: 3, beta: true }, undefined],
    [{ roles: "dev" }, undefined],
    [{ roles: ["qa", "ops"] }, undefined],
    [{ roles: "qa" }, "POLICY_DENIED"],
    [{ org: "acme", level: 4 }, "POLICY_DENIED"],
    [{ level: "3" }, "POLICY_DENIED"],
    [{ beta: "true" }, "POLICY_DENIED"],
    [{ absent: "" }, "POLICY_DENIED"],
    [{ toString: "x" }, "POLICY_DENIED"],
  ] as const) {
    const all = policies({ match: { rpc: "guarded.Orders/Get" }, require: { claims } });
    assert.equal(refusal(all, get, admin), reason, JSON.stringify(claims));
    assert.equal(refusal(all, get, undefined), "POLICY_DENIED");
  }
});

test("conditions without request fields are decided before the body, others on the message; both must hold", () => {
  const rule = "'read' in scopes && subject == request.user_id && has(claim.sub)";
  const all = policies({ match: { rpc: "guarded.Orders/*" }, require: { rule } });
  const authorizer = all.authorizer(get);
  assert.ok(authorizer?.after !== undefined);
  assert.equal(authorizer.usesPath, false);
  assert.equal(
    failureOf(() => authorizer.before(user, [])),
    undefined,
  );
  assert.equal(
    failureOf(() => authorizer.before(identity({ sub: "jdoe" }), []))?.failure.reason,
    "POLICY_DENIED",
  );
  assert.equal(refusal(all, get, user, { user_id: "jdoe" }), undefined);
  assert.equal(refusal(all, get, user, { user_id: "root" }), "POLICY_DENIED");
  assert.equal(refusal(all, get, user), "POLICY_DENIED");
  const early = policies({ match: { rpc: "guarded.**" }, require: { scopes: ["read"] } });
  assert.equal(early.authorizer(get)?.after, undefined);
});

test("several policies that match one route must all hold", () => {
  const all = policies(
    { match: { route: "/**" }, require: { scopes: ["read"] } },
    { match: { rpc: "guarded.Orders/Get" }, require: { rule: "request.user_id == subject" } },
    { match: { route: "/orders/*", methods: ["DELETE"] }, require: { scopes: ["admin"] } },
  );
  assert.equal(refusal(all, get, user, { user_id: "jdoe" }), undefined);
  assert.equal(refusal(all, get, admin, { user_id: "jdoe" }), "POLICY_DENIED");
  assert.equal(
    refusal(all, target("DELETE", "/orders/{user_id}"), user, { user_id: "jdoe" }),
    "SCOPE_MISSING",
  );
  assert.equal(
    refusal(all, target("GET", "/x", { rpc: method("Plain", "Get") }), identity()),
    "SCOPE_MISSING",
  );
});

test("deny refuses every caller, and a route without a policy is free", () => {
  const all = policies({ match: { route: "/internal/**" }, deny: true });
  const plain = { rpc: method("Plain", "Get") };
  assert.equal(refusal(all, target("GET", "/internal/x", plain), admin), "POLICY_DENIED");
  const open = target("GET", "/internal/y", { ...plain, authenticated: false });
  assert.equal(refusal(all, open, undefined), "POLICY_DENIED");
  assert.equal(all.authorizer(get), undefined);
  assert.deepEqual(all.diagnostics(), []);
});

test("GET and HEAD are one method, and a route for any method has the policies of each", () => {
  for (const [methods, route, matches] of [
    [["GET"], "GET", true],
    [["GET"], "HEAD", true],
    [["HEAD"], "GET", true],
    [["GET"], "POST", false],
    [["POST"], "*", true],
    [["POST", "PUT"], "PUT", true],
  ] as const) {
    const all = policies({ match: { route: "/**", methods }, deny: true });
    assert.equal(all.authorizer(target(route, "/x")) !== undefined, matches, `${methods} ${route}`);
  }
});

test("a policy on methods holds for its own methods only, on a route for any method", () => {
  const all = policies(
    { match: { route: "/legacy/**", methods: ["DELETE"] }, deny: true },
    { match: { route: "/**", methods: ["PUT"] }, require: { rule: "request.user_id == subject" } },
  );
  const authorizer = all.authorizer(target("*", "/legacy/**"));
  const before = (used?: string) =>
    failureOf(() => authorizer?.before(user, ["legacy", "x"], used))?.failure.reason;
  for (const used of ["GET", "HEAD", "POST", "PUT"]) assert.equal(before(used), undefined, used);
  assert.equal(before("DELETE"), "POLICY_DENIED");
  assert.equal(before(), "POLICY_DENIED");
  const after = (used?: string) =>
    failureOf(() => authorizer?.after?.(user, new Uint8Array(0), ["legacy", "x"], used))?.failure.reason;
  assert.equal(after("GET"), undefined);
  assert.equal(after("PUT"), "POLICY_DENIED");
  assert.equal(after(), "POLICY_DENIED");
});

test("RPCs are matched by method, by service and by package", () => {
  for (const [rpc, matches] of [
    ["guarded.Orders/Get", true],
    ["guarded.Orders/List", false],
    ["guarded.Orders/*", true],
    ["guarded.Order/*", false],
    ["guarded.**", true],
    ["guard.**", false],
    ["**", true],
  ] as const) {
    const all = policies({ match: { rpc }, deny: true });
    assert.equal(all.authorizer(get) !== undefined, matches, rpc);
    assert.equal(all.authorizer(target("GET", "/docs", { rpc: undefined })), undefined);
  }
});

test("a glob that a route's paths may or may not match is decided for each path", () => {
  const all = policies({ match: { route: "/orders/root/**" }, require: { rule: "subject == 'root'" } });
  const authorizer = all.authorizer(get);
  assert.equal(authorizer?.usesPath, true);
  const reason = (...path: string[]) => failureOf(() => authorizer?.before(user, path))?.failure.reason;
  assert.equal(reason("orders", "jdoe"), undefined);
  assert.equal(reason("orders", "root"), "POLICY_DENIED");
  assert.equal(reason("orders", "root/x"), "POLICY_DENIED");
  assert.equal(
    failureOf(() => authorizer?.before(undefined, ["orders", "root"]))?.failure.reason,
    "POLICY_DENIED",
  );
});

test("a policy that does not fit its routes is an error with line, column and nearest name, once each", () => {
  const all = policies(
    { match: { rpc: "guarded.Orders/*" }, require: { rule: "claim.sub == request.usr_id" } },
    { match: { route: "/orders/**" }, require: { rule: "claim.sub = 'x'" } },
    { match: { route: "/docs" }, require: { rule: "request.user_id == subject" } },
    { match: { route: "/open/**" }, require: { scopes: ["read"] } },
    { match: { route: "/open/**" }, require: { rule: "request.public || subject == request.user_id" } },
    { match: { route: "/nowhere/**" }, require: { scopes: ["read"] } },
    { match: { rpc: "guarded.Nothing/*" }, deny: true },
  );
  for (const at of [
    get,
    target("POST", "/orders", { rpc: method("Orders", "List") }),
    target("GET", "/docs", { rpc: undefined }),
    target("GET", "/open/{user_id}", { authenticated: false }),
  ]) {
    all.authorizer(at);
  }
  const told = all.diagnostics().map(each => [each.severity, each.path, each.message, each.suggestion]);
  assert.deepEqual(
    told.filter(([severity]) => severity === "error"),
    [
      ["error", "auth.policies[1].require.rule", 'column 11 of the rule: "=" means nothing in a rule', "=="],
      [
        "error",
        "auth.policies[0].require.rule",
        'column 22 of the rule: guarded.Order has no field "usr_id"',
        "user_id",
      ],
      [
        "error",
        "auth.policies[2].require.rule",
        'column 1 of the rule: there is no "request": the gateway serves this route itself, without an RPC (for GET /docs)',
        undefined,
      ],
      [
        "error",
        "auth.policies[3]",
        'the policy needs to know who calls, but GET /open/{user_id} (guarded.Orders/Get) has "auth: none"',
        undefined,
      ],
    ],
  );
  assert.deepEqual(
    told
      .filter(([severity]) => severity === "warning")
      .filter(([, , message]) => /no route/.test(String(message))),
    [5, 6].map(index => [
      "warning",
      `auth.policies[${index}].match`,
      "the policy matches no route",
      undefined,
    ]),
  );
});

test("an RPC that another route reaches past a policy is a warning", () => {
  const all = policies({ match: { route: "/admin/**" }, require: { scopes: ["admin"] } });
  all.authorizer(target("GET", "/admin/orders"));
  all.authorizer(target("POST", "/guarded.Orders/Get"));
  all.authorizer(target("GET", "/plain", { rpc: method("Plain", "Get") }));
  assert.deepEqual(
    all.diagnostics().map(each => each.message),
    [
      "POST /guarded.Orders/Get (guarded.Orders/Get) calls an RPC that the policy guards on another route, but is not under it; match by rpc to guard both",
    ],
  );
});

test("rooms have their own policies, by exact name with wildcards and by rule", () => {
  const all = policies(
    { match: { room: "staff-*" }, require: { scopes: ["admin"] } },
    { match: { room: "*" }, require: { rule: "room in claim.rooms || 'admin' in scopes" } },
    { match: { route: "/**" }, require: { scopes: ["never"] } },
  );
  const rooms = all.rooms(true);
  const member = identity({ rooms: ["general", "staff-1"] });
  const reason = (who: Identity | undefined, room: string) => {
    const refused = failureOf(() => rooms?.require(who, room));
    assert.equal(rooms?.allows(who, room), refused === undefined, room);
    return refused?.failure.reason;
  };
  assert.equal(reason(member, "general"), undefined);
  assert.equal(reason(member, "other"), "POLICY_DENIED");
  assert.equal(reason(member, "staff-1"), "SCOPE_MISSING");
  assert.equal(reason(admin, "staff-1"), undefined);
  assert.equal(reason(undefined, "general"), "POLICY_DENIED");
  assert.equal(policies({ match: { route: "/**" }, deny: true }).rooms(true), undefined);
});

test("a policy on rooms that needs the caller is an error without authentication", () => {
  const all = policies(
    { match: { room: "*" }, require: { scopes: ["chat"] } },
    { match: { room: "*" }, require: { rule: "room != 'secret'" } },
    { match: { room: "*" }, require: { rule: "request.user_id == room" } },
  );
  const rooms = all.rooms(false);
  assert.deepEqual(
    all.diagnostics().map(each => `${each.path}: ${each.message}`),
    [
      'auth.policies[0]: the policy needs to know who calls, but realtime has "auth: none"',
      'auth.policies[2].require.rule: column 1 of the rule: there is no "request": a room has no RPC request (for rooms)',
    ],
  );
  assert.ok(rooms !== undefined);
});

test("decisions are counted by policy, once a request", async () => {
  const all = policies({
    name: "counted",
    match: { route: "/**" },
    require: { rule: "has(claim.sub) && subject == request.user_id" },
  });
  refusal(all, get, user, { user_id: "jdoe" });
  refusal(all, get, user, { user_id: "jdoe" });
  refusal(all, get, user, { user_id: "hsue" });
  refusal(all, get, identity(), { user_id: "jdoe" });
  const { values } = await registry.getSingleMetric("protogate_policy_decisions_total")!.get();
  const counted = values.filter(({ labels }) => labels.policy === "counted");
  assert.deepEqual(
    counted.map(({ labels, value }) => [labels.result, value]),
    [
      ["allowed", 2],
      ["denied", 2],
    ],
  );
});
