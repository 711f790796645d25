import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExpressionError } from "../../../src/auth/policy/expression.js";
import { parseExpression } from "../../../src/auth/policy/expression-parser.js";
import { compileRule } from "../../../src/auth/policy/rule.js";
import { JsonNumber } from "../../../src/codec/json.js";
import { evaluate, identity, message } from "./guarded.js";

const jdoe = identity({ sub: "jdoe", org: "acme", orgs: ["acme", "umbrella"], level: "HIGH" });

test("a claim is compared with a field, nested ones and lists included", () => {
  for (const [rule, fields, expected] of [
    ["claim.sub == request.user_id", { user_id: "jdoe" }, true],
    ["claim.sub == request.user_id", { user_id: "hsue" }, false],
    ["claim.sub != request.user_id", { user_id: "hsue" }, true],
    ["subject == request.owner.id", { owner: { id: "jdoe" } }, true],
    ["subject == request.owner.deputy.id", { owner: { deputy: { id: "jdoe" } } }, true],
    ["claim.org in request.orgs", { orgs: ["umbrella", "acme"] }, true],
    ["claim.org in request.orgs", { orgs: ["umbrella"] }, false],
    ["claim.org in request.orgs", {}, false],
    ["request.user_id in claim.orgs", { user_id: "umbrella" }, true],
    ["request.user_id in [subject, 'root']", { user_id: "root" }, true],
    ["request.userId == subject", { user_id: "jdoe" }, true],
    ["request.labels['team'] == claim.org", { labels: { team: "acme" } }, true],
    ["request.people['boss'].id == subject", { people: { boss: { id: "jdoe" } } }, true],
    ["request.level == 'HIGH'", { level: 2 }, true],
    ["request.level == 2 && request.level != 'LOW'", { level: 2 }, true],
    ["request.level == claim.level", { level: 2 }, true],
    ["'LOW' in request.levels", { levels: [2, 1] }, true],
    ["claim.level in request.levels", { levels: [1, 2] }, true],
    ["request.public || subject == request.user_id", { public: true }, true],
    [
      "request.small == -5 && request.big == 18446744073709551615",
      { small: -5, big: "18446744073709551615" },
      true,
    ],
    ["provider == 'users' && !(provider in ['a', 'b'])", {}, true],
    ["has(request.owner) && has(request.orgs)", { owner: {}, orgs: [""] }, true],
    ["has(request.owner) || has(request.orgs) || has(request.user_id)", {}, false],
    ["has(request.note)", { note: "" }, true],
    ["has(request.labels['a']) && !has(request.labels['b'])", { labels: { a: "" } }, true],
    ["has(request.blob) || has(request.ratio)", { ratio: -0 }, true],
  ] as const) {
    assert.equal(evaluate(rule, jdoe, fields), expected, rule);
  }
});

test("scopes are a list of texts", () => {
  const writer = identity({}, { scopes: ["read", "write"] });
  assert.equal(evaluate("'write' in scopes", writer), true);
  assert.equal(evaluate("'admin' in scopes", writer), false);
  assert.equal(evaluate("!('admin' in scopes) && 'read' in scopes", writer), true);
});

test("claims are reached by names, quoted names and into objects, never into what objects inherit", () => {
  const known = identity({ "https://x/y": "z", a: { b: { c: 1 } }, list: ["x"] });
  assert.equal(evaluate("claim['https://x/y'] == 'z'", known), true);
  assert.equal(evaluate('claim.a["b"].c == 1', known), true);
  for (const path of ["a.constructor", "constructor", "__proto__", "a.b.c.d", "list.length", "list['0']"]) {
    assert.equal(evaluate(`has(claim.${path})`, known), false, path);
    assert.equal(evaluate(`claim.${path} == 'x'`, known), undefined, path);
  }
});

test("an absent claim equals nothing, differs from nothing and is in nothing", () => {
  for (const known of [identity(), identity({ x: null }), identity({ x: {} }), undefined]) {
    for (const rule of [
      "claim.x == request.user_id",
      "claim.x != request.user_id",
      "!(claim.x == request.user_id)",
      "claim.x == ''",
      "claim.x != 'y'",
      "claim.x == claim.x",
      "claim.x == claim.y",
      "claim.x in request.orgs",
      "!(claim.x in request.orgs)",
      "claim.x in []",
      "!(claim.x in ['a'])",
      "'a' in claim.x",
      "!('a' in claim.x)",
      "request.number == claim.x",
      "request.public == claim.x",
      "request.level != claim.x",
      "claim.x",
      "!claim.x",
    ]) {
      assert.equal(evaluate(rule, known), undefined, rule);
    }
  }
  assert.equal(evaluate("has(claim.x) || subject == 'jdoe'", identity()), true);
  assert.equal(evaluate("!has(claim.banned) || claim.banned != true", identity()), true);
  assert.equal(evaluate("!has(claim.banned) || claim.banned != true", identity({ banned: true })), false);
});

test("a rule on claims is never true for an anonymous caller, not even that a claim is absent", () => {
  for (const rule of ["!has(claim.banned)", "!('admin' in scopes)", "subject != 'root'", "provider != 'x'"]) {
    assert.equal(evaluate(rule, undefined), undefined, rule);
  }
  assert.equal(evaluate("request.public || subject == 'x'", undefined, { public: true }), true);
});

test("an entry that a map does not have equals nothing; a field that is not set has its default", () => {
  assert.equal(evaluate("request.labels['a'] == ''", jdoe), undefined);
  assert.equal(evaluate("request.labels['a'] != 'x'", jdoe), undefined);
  assert.equal(evaluate("request.people['a'].id == ''", jdoe), undefined);
  assert.equal(evaluate("request.people['a'].id == ''", jdoe, { people: { a: {} } }), true);
  assert.equal(evaluate("request.owner.id == '' && request.number == 0 && !request.public", jdoe), true);
  assert.equal(evaluate("request.level == 'LEVEL_UNSPECIFIED'", jdoe), true);
});

test("rules compare integers exactly, and with claims by their decimal text", () => {
  const exact = "9007199254740993";
  assert.equal(evaluate(`request.number == ${exact}`, jdoe, { number: exact }), true);
  assert.equal(evaluate(`request.number == 9007199254740992`, jdoe, { number: exact }), false);
  assert.equal(evaluate("claim.id == request.number", identity({ id: exact }), { number: exact }), true);
  assert.equal(
    evaluate("claim.id == request.number", identity({ id: "9007199254740992" }), { number: exact }),
    false,
  );
  assert.equal(evaluate("claim.id in request.ids", identity({ id: "7" }), { ids: ["5", "7"] }), true);
  assert.equal(evaluate("claim.id == request.number", identity({ id: 42 }), { number: 42 }), true);
  assert.equal(evaluate("claim.id == request.user_id", identity({ id: 42 }), { user_id: "42" }), true);
  assert.equal(evaluate("claim.id == request.number", identity({ id: "-42" }), { number: -42 }), true);
});

test("claims beyond 53 bits are compared with all their digits, alone and in lists", () => {
  const exact = "9007199254740993";
  const id = new JsonNumber(exact);
  for (const rule of [
    "claim.id == request.number",
    "claim.id == request.user_id",
    `claim.id == ${exact}`,
    `claim.id == '${exact}'`,
    "claim.id in claim.ids",
    `${exact} in claim.ids`,
    "claim.id in request.ids",
    "claim.inner.id == claim.id",
  ]) {
    const claims = { id, ids: [1, new JsonNumber("9007199254740993.0")], inner: { id } };
    const message = { number: exact, user_id: exact, ids: [exact] };
    assert.equal(evaluate(rule, identity(claims), message), true, rule);
    const near = {
      id: new JsonNumber("9007199254740994"),
      ids: [new JsonNumber("9007199254740992")],
      inner: { id },
    };
    assert.equal(evaluate(rule, identity(near), message), false, rule);
  }
  assert.equal(evaluate("claim.id == 42", identity({ id: new JsonNumber("42.0") })), true);
  assert.equal(evaluate("claim.id == 42", identity({ id: new JsonNumber("42.5") })), undefined);
  assert.equal(evaluate("has(claim.id.text)", identity({ id })), false);
});

test("a claim of another type, or one that JSON has rounded, is not compared at all", () => {
  for (const id of [
    "042",
    " 42",
    "42 ",
    "+42",
    "4.2e1",
    "0x2a",
    "",
    "-0",
    42.5,
    2 ** 53,
    true,
    ["42"],
    { a: 42 },
  ]) {
    assert.equal(evaluate("claim.id == request.number", identity({ id }), { number: 42 }), undefined);
    assert.equal(evaluate("claim.id != request.number", identity({ id }), { number: 42 }), undefined);
  }
  assert.equal(evaluate("claim.a == claim.b", identity({ a: "1", b: 1 })), undefined);
  assert.equal(evaluate("claim.a == true", identity({ a: "true" })), undefined);
  assert.equal(evaluate("claim.a == request.level", identity({ a: "NO_SUCH" }), { level: 1 }), undefined);
});

test("&&, || and ! are Kleene's", () => {
  const words = { T: "request.public", F: "!request.public", U: "claim.absent" } as const;
  const truth = { T: true, F: false, U: undefined } as const;
  const fields = { public: true };
  for (const a of ["T", "F", "U"] as const) {
    const notA = truth[a] === undefined ? undefined : !truth[a];
    assert.equal(evaluate(`!(${words[a]})`, jdoe, fields), notA);
    for (const b of ["T", "F", "U"] as const) {
      const both = a === "F" || b === "F" ? false : a === "T" && b === "T" ? true : undefined;
      const either = a === "T" || b === "T" ? true : a === "F" && b === "F" ? false : undefined;
      assert.equal(evaluate(`${words[a]} && ${words[b]}`, jdoe, fields), both, `${a} && ${b}`);
      assert.equal(evaluate(`${words[a]} || ${words[b]}`, jdoe, fields), either, `${a} || ${b}`);
    }
  }
});

test("a rule that cannot be true without an identity is known as such", () => {
  for (const [rule, anonymous] of [
    ["claim.a == request.user_id", false],
    ["request.public", true],
    ["request.public || subject == request.user_id", true],
    ["request.public && subject == request.user_id", false],
    ["!has(claim.banned)", false],
    ["!(request.public && has(claim.a))", true],
    ["!(request.public || has(claim.a))", false],
    ["false", false],
    ["!false", true],
  ] as const) {
    const condition = compileRule(parseExpression(rule), { input: message("Order"), room: false });
    assert.equal(condition.anonymous, anonymous, rule);
  }
});

test("an invalid rule is reported with its column and, where there is one, the nearest name", () => {
  for (const [rule, column, text, suggestion] of [
    ["", 1, "expected a value, found the end", undefined],
    ["claim.sub = request.user_id", 11, '"=" means nothing in a rule', "=="],
    ["claim.a & claim.b", 9, '"&" means nothing in a rule', "&&"],
    ["claim.sub == request.usr_id", 22, 'guarded.Order has no field "usr_id"', "user_id"],
    ["request.owner.idd == subject", 15, 'guarded.Owner has no field "idd"', "id"],
    ["request.user_id.x == subject", 17, '"user_id" is of type string and has no field "x"', undefined],
    ["request.members.id == subject", 17, '"members" is repeated and has no field "id"', undefined],
    ["request == subject", 1, "expected a field, such as request.name", undefined],
    ["request.number == 'x'", 19, 'request.number (int64) cannot be compared with "x"', undefined],
    ["request.user_id == 5", 20, "request.user_id (string) cannot be compared with 5", undefined],
    [
      "request.user_id == request.number",
      20,
      "request.user_id (string) cannot be compared with request.number (int64)",
      undefined,
    ],
    ["request.blob == 'x'", 1, "request.blob (bytes) is of type bytes and cannot be compared", undefined],
    ["request.ratio == 1", 1, "request.ratio (double) is of type double and cannot be compared", undefined],
    [
      "request.owner == subject",
      1,
      "request.owner (guarded.Owner) is a message and cannot be compared; compare one of its fields",
      undefined,
    ],
    [
      "request.orgs == subject",
      1,
      'request.orgs (repeated string) is a list; use "in" to look for a value in it',
      undefined,
    ],
    [
      "request.labels == subject",
      1,
      'request.labels (guarded.Order.LabelsEntry) is a map; compare one entry, such as ["key"]',
      undefined,
    ],
    ["request.labels.a == subject", 16, '"labels" is a map; expected ["a"], found .a', undefined],
    [
      "request.numbered['1'] == subject",
      17,
      'the keys of "numbered" are of type int32; only maps with texts as keys can be read',
      undefined,
    ],
    ["request.level == 'HIHG'", 18, 'guarded.Level has no value "HIHG"', "HIGH"],
    [
      "request.level == request.colour",
      18,
      "request.colour (guarded.Colour) cannot be compared with a value of guarded.Level",
      undefined,
    ],
    [
      "subject in request.user_id",
      12,
      'expected a list after "in", found request.user_id (string); use "==" to compare',
      undefined,
    ],
    [
      "subjct == request.user_id",
      1,
      'there is no "subjct"; expected one of claim, subject, scopes, provider, request, room, or a text in quotes',
      "subject",
    ],
    ["subject.id == request.user_id", 1, '"subject" has no fields; only claim and request do', undefined],
    ["room == 'x'", 1, 'there is no room here; "room" is known to policies that match rooms', undefined],
    ["subject", 1, undefined, undefined],
    [
      "request.user_id",
      1,
      "expected a condition, found request.user_id (string); compare it with something",
      undefined,
    ],
    ["claim == 'x'", 1, "expected a claim, such as claim.sub", undefined],
    ["size(request.orgs)", 1, 'there is no function "size"; the only one is has()', undefined],
    ["has(subject)", 5, "has() takes a field or a claim, such as has(request.name)", undefined],
    ["claim.a == null", 12, 'expected a value, found "null"', undefined],
    ["claim.a == 1.5", 12, 'expected a whole number, found "1.5"', undefined],
    ["claim.a == 'x", 12, "the text has no closing '", undefined],
    [
      "claim.a == 'x\\q'",
      14,
      `expected one of the escapes \\", \\', \\\\, \\n, \\r, \\t and \\uXXXX, found "\\q"`,
      undefined,
    ],
    ["(claim.a", 9, 'expected ")", found the end', undefined],
    ["claim.a claim.b", 9, 'expected "&&", "||" or the end, found "claim"', undefined],
    ["claim.a == 99999999999999999999999", 12, "the number does not fit 64 bits", undefined],
    ["(claim.a == 'x') == true", 2, "expected a value, found a condition", undefined],
  ] as const) {
    if (text === undefined) {
      assert.equal(evaluate(rule, jdoe), undefined);
      continue;
    }
    assert.throws(
      () => compileRule(parseExpression(rule), { input: message("Order"), room: false }),
      (error: unknown) => {
        assert.ok(error instanceof ExpressionError, String(error));
        assert.deepEqual([error.message, error.column, error.suggestion], [text, column, suggestion], rule);
        return true;
      },
    );
  }
});

test("depth and length are bounded, and no text costs the process", () => {
  for (const deep of [
    `${"(".repeat(1000)}claim.a`,
    `${"!".repeat(1000)}claim.a`,
    `claim.a in ${"[".repeat(1000)}`,
  ]) {
    assert.throws(() => parseExpression(deep), /nested more than 64 deep/);
  }
  assert.throws(() => parseExpression(`claim.a ${"&& claim.a".repeat(1000)}`), /at most 4096 characters/);
  const piece = fc.constantFrom(
    ..."claim . a == != in && || ! ( ) [ ] , 'x' \" \\ 1 -1 1.5 has ( request user_id true subject scopes \0 é".split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.constantFrom("", " "), (pieces, space) => {
      try {
        const rule = parseExpression(pieces.join(space));
        compileRule(rule, { input: message("Order"), room: false });
      } catch (error) {
        assert.ok(error instanceof ExpressionError, String(error));
        assert.ok(error.column >= 1 && error.column <= pieces.join(space).length + 1);
      }
    }),
    { numRuns: 2000 },
  );
});
