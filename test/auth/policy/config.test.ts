import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "../../config/workspace.js";

const workspace = new Workspace();
const listener = 'listeners: { http: { address: ":0" } }\n';

test("policies are read with claims of each kind, alone and as lists", () => {
  const { auth } = workspace.config(`${listener}auth:
  policies:
    - name: all
      match: { route: "/admin/**", methods: [GET], rpc: "a.B/*" }
      require: { scopes: [a:b, c], any_scope: [d], claims: { org: [x, 1, true], "https://x/y": 5 }, rule: "claim.a == 'b'" }
    - { match: { room: "staff-*" }, deny: true }
`);
  assert.deepEqual(JSON.parse(JSON.stringify(auth.policies)), [
    {
      name: "all",
      match: { route: "/admin/**", methods: ["GET"], rpc: "a.B/*" },
      require: {
        scopes: ["a:b", "c"],
        any_scope: ["d"],
        claims: { org: ["x", 1, true], "https://x/y": 5 },
        rule: "claim.a == 'b'",
      },
    },
    { match: { room: "staff-*" }, deny: true },
  ]);
});

for (const [what, yaml, said] of [
  [
    "that matches nothing",
    "{ match: {}, deny: true }",
    "2:27: error: expected route, rpc or room; without them the policy matches nothing (at auth.policies[0].match)",
  ],
  [
    "on methods alone",
    "{ match: { methods: [GET] }, deny: true }",
    "2:27: error: expected route, rpc or room; without them the policy matches nothing (at auth.policies[0].match)",
  ],
  [
    "on a room and a route",
    '{ match: { room: a, route: "/b" }, deny: true }',
    "2:42: error: a room has neither route nor RPC; write a policy of its own for it (at auth.policies[0].match.room)",
  ],
  [
    "with ** inside a segment",
    '{ match: { route: "/a**" }, deny: true }',
    '2:43: error: in a route "**" is a whole segment; within a segment use "*" (at auth.policies[0].match.route)',
  ],
  [
    "on an RPC without a method",
    "{ match: { rpc: a.B }, deny: true }",
    '2:41: error: expected package.Service/Method, package.Service/* or package.**, found "a.B" (at auth.policies[0].match.rpc)',
  ],
  [
    "that says nothing",
    '{ match: { route: "/a" } }',
    '2:25: error: expected "require" or "deny: true" (at auth.policies[0])',
  ],
  [
    "that requires nothing",
    '{ match: { route: "/a" }, require: {} }',
    "2:51: error: expected scopes, any_scope, claims or rule; this requires nothing (at auth.policies[0].require)",
  ],
  [
    "that requires no scope",
    '{ match: { route: "/a" }, require: { scopes: [] } }',
    "2:62: error: expected at least one scope (at auth.policies[0].require.scopes)",
  ],
  [
    "with a scope of two words",
    '{ match: { route: "/a" }, require: { scopes: ["a b"] } }',
    '2:71: error: expected a scope of printable ASCII without spaces, " and \\, found "a b" (at auth.policies[0].require.scopes[0])',
  ],
  [
    "that requires and denies",
    '{ match: { route: "/a" }, require: { scopes: [a] }, deny: true }',
    '2:83: error: "deny" refuses every caller; "require" has no effect (at auth.policies[0].deny)',
  ],
  [
    "with a claim that is a number with a fraction",
    '{ match: { route: "/a" }, require: { claims: { a: 1.5 } } }',
    "2:75: error: expected a string, a whole number, true or false or a list, found 1.5 (at auth.policies[0].require.claims.a)",
  ],
] as const) {
  test(`a policy ${what} is an error`, () => {
    assert.deepEqual(workspace.problems(`${listener}auth: { policies: [     ${yaml}] }\n`), [
      `gateway.yaml:${said}`,
    ]);
  });
}

test("two policies of one name are an error", () => {
  assert.deepEqual(
    workspace.problems(`${listener}auth:
  policies:
    - { name: a, match: { route: "/a" }, deny: true }
    - { name: a, match: { route: "/b" }, deny: true }
`),
    ['gateway.yaml:5:15: error: "a" is the name of auth.policies[0] already (at auth.policies[1].name)'],
  );
});
