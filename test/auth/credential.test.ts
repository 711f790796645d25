import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  AMBIGUOUS,
  cookieValue,
  credentialReader,
  isCredential,
  type Placement,
  placementOf,
  queryValue,
} from "../../src/auth/credential.js";
import { type Asked, callerOf } from "./harness.js";

const read = (placement: Placement, asked: Asked) => credentialReader(placement)(callerOf(asked));

test("a provider without placement reads its default header, with one only what is named", () => {
  assert.deepEqual(placementOf({}, "authorization"), {
    header: "authorization",
    scheme: "Bearer",
    cookie: undefined,
    query: undefined,
  });
  assert.equal(placementOf({}, "x-api-key").scheme, undefined);
  assert.equal(placementOf({ header: "authorization" }, "x-api-key").scheme, "Bearer");
  assert.equal(placementOf({ header: "token" }, "authorization").scheme, undefined);
  assert.equal(placementOf({ header: "token", scheme: "JWT" }, "authorization").scheme, "JWT");
  assert.equal(placementOf({ cookie: "session" }, "authorization").header, undefined);
});

test("a scheme is read in any case, and credentials of another scheme are ignored", () => {
  const placement = { header: "authorization", scheme: "Bearer" };
  const of = (authorization: string) => read(placement, { headers: { authorization } });
  for (const value of ["Bearer abc", "bearer abc", "BEARER   abc"]) assert.equal(of(value), "abc");
  for (const value of ["Basic abc", "Bearer", "Bearer ", "Bearerabc", "Bear abc", "", "abc", "Bearer\tabc"]) {
    assert.equal(of(value), undefined, value);
  }
  assert.equal(read(placement, {}), undefined);
});

test("an empty header is no credential", () => {
  assert.equal(read({ header: "token" }, { headers: { token: "" } }), undefined);
  assert.equal(read({ header: "token" }, { headers: { token: "abc" } }), "abc");
});

test("credentials in two places at once are ambiguous, even where they are equal", () => {
  const placement = { header: "authorization", scheme: "Bearer", cookie: "session", query: "access_token" };
  const headers = { authorization: "Bearer a", cookie: "session=a" };
  assert.equal(read(placement, { headers }), AMBIGUOUS);
  assert.equal(read(placement, { headers: { cookie: "session=a" }, query: "access_token=a" }), AMBIGUOUS);
  assert.equal(read(placement, { headers: { cookie: "session=a" }, query: "token=b" }), "a");
  assert.equal(read(placement, { headers: { cookie: "session=" }, query: "access_token=b" }), "b");
  assert.equal(read(placement, { headers: { cookie: "session=a; session=b" } }), AMBIGUOUS);
});

test("cookies are found by their whole name, once", () => {
  const cases: [string, string | typeof AMBIGUOUS | undefined][] = [
    ["session=abc", "abc"],
    ["a=b; session=abc; c=d", "abc"],
    ["a=b;session=abc", "abc"],
    ['session="abc"', "abc"],
    ["session=a=b==", "a=b=="],
    [" session = abc ", "abc"],
    ["xsession=abc", undefined],
    ["session2=abc", undefined],
    ["Session=abc", undefined],
    ["session", undefined],
    ["session=", undefined],
    ['session=""', undefined],
    ['session="', '"'],
    ["a=session=abc", undefined],
    ['a="; session=abc; "', "abc"],
    ["session=abc; session=def", AMBIGUOUS],
    ["session=abc; session=abc", AMBIGUOUS],
    ["", undefined],
    [";;;", undefined],
  ];
  for (const [header, expected] of cases) assert.equal(cookieValue(header, "session"), expected, header);
  // Two header lines, as engines join them.
  assert.equal(isCredential(String(cookieValue("session=abc, session=def", "session"))), false);
});

test("query parameters are percent-decoded, names too, and must be there once", () => {
  const cases: [string, string | typeof AMBIGUOUS | undefined][] = [
    ["access_token=abc", "abc"],
    ["a=1&access_token=abc&b=2", "abc"],
    ["access%5Ftoken=a%2Eb", "a.b"],
    ["access_token=a%", AMBIGUOUS],
    ["access_token=%ff", AMBIGUOUS],
    ["access_token=a&access_token=b", AMBIGUOUS],
    ["access_token=a&access%5ftoken=a", AMBIGUOUS],
    ["access_token=", undefined],
    ["access_token", undefined],
    ["ACCESS_TOKEN=a", undefined],
    ["x_access_token=a", undefined],
    ["a=access_token=b", undefined],
    ["%=1&access_token=b", "b"],
    ["", undefined],
    ["access_token=a=b", "a=b"],
  ];
  for (const [query, expected] of cases) assert.equal(queryValue(query, "access_token"), expected, query);
  assert.equal(isCredential(String(queryValue("access_token=a+b", "access_token"))), false);
  assert.equal(isCredential(String(queryValue("access_token=a%0d%0ab", "access_token"))), false);
});

test("reading a credential from any request gives a text, nothing or ambiguity", () => {
  const placement = { header: "authorization", scheme: "Bearer", cookie: "s", query: "t" };
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (authorization, cookie, query) => {
      const found = read(placement, { headers: { authorization, cookie }, query });
      assert.ok(found === undefined || found === AMBIGUOUS || (typeof found === "string" && found !== ""));
    }),
  );
});

test("any credential survives each placement", () => {
  const credential = fc
    .string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
      minLength: 1,
    })
    .filter(text => isCredential(text) && !/[";]/.test(text));
  fc.assert(
    fc.property(credential, text => {
      const headers = { authorization: `Bearer ${text}` };
      assert.equal(read({ header: "authorization", scheme: "Bearer" }, { headers }), text);
      assert.equal(read({ cookie: "s" }, { headers: { cookie: `a=b; s=${text}; c=d` } }), text);
      assert.equal(read({ query: "t" }, { query: `a=b&t=${encodeURIComponent(text)}` }), text);
    }),
  );
});
