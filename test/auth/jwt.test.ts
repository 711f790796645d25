import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Workspace } from "../config/workspace.js";
import { bearer, type TestOptions, type TestProviders, testProviders } from "./harness.js";
import { forged, inAnHour, signer, signShared } from "./tokens.js";

const secret = "a secret of more than thirty-two bytes";
const es = await signer("es");
const rs = await signer("rs", "RS256");
const ed = await signer("ed", "EdDSA");
const workspace = new Workspace({
  "es.pem": es.pem,
  "rs.pem": rs.pem,
  "ed.pem": ed.pem,
  "keys.json": JSON.stringify({ keys: [es.jwk, rs.jwk] }),
});

/** Providers of type jwt with these keys, by name. */
function providers(yaml: string, options?: TestOptions): TestProviders {
  return testProviders(
    workspace.config(`listeners: { http: { address: ":0" } }\nauth: { providers: { ${yaml} } }\n`),
    options,
  );
}

const shared = `users: { type: jwt, secret: "${secret}", algorithms: [HS256] }`;
const rsa = "users: { type: jwt, public_key: rs.pem, algorithms: [RS256, PS256] }";

async function rejects(
  tested: TestProviders,
  token: string,
  cause: RegExp,
  reason = "CREDENTIALS_INVALID",
): Promise<void> {
  const failure = await tested.refused(bearer(token));
  assert.equal(failure.reason, reason);
  assert.equal(failure.httpStatus, 401);
  assert.deepEqual(failure.headers, [
    ["www-authenticate", 'Bearer realm="protogate", error="invalid_token"'],
  ]);
  const { message } = tested.events.at(-1) ?? {};
  assert.match(String(message), cause);
  assert.doesNotMatch(failure.message, cause);
  assert.ok(token.length < 20 || !String(message).includes(token), "the log has the token");
}

test("tokens of a shared secret, PEM keys of each kind, and a file of keys are accepted", async () => {
  const tested = providers(`
    hs: { type: jwt, secret: "${secret}", algorithms: [HS256, HS512] },
    es: { type: jwt, public_key: es.pem, algorithms: [ES256] },
    rs: { type: jwt, public_key: ${JSON.stringify(rs.pem)}, algorithms: [RS256] },
    ed: { type: jwt, public_key: ed.pem, algorithms: [EdDSA] },
    set: { type: jwt, jwks: keys.json, algorithms: [ES256, RS256] }`);
  assert.equal((await tested.ask(bearer(await signShared(secret)), "hs")).subject, "ada");
  assert.equal((await tested.ask(bearer(await signShared(secret, {}, "HS512")), "hs")).provider, "hs");
  assert.equal((await tested.ask(bearer(await es.sign()), "es")).provider, "es");
  assert.equal((await tested.ask(bearer(await rs.sign()), "rs")).provider, "rs");
  assert.equal((await tested.ask(bearer(await ed.sign()), "ed")).provider, "ed");
  assert.equal((await tested.ask(bearer(await rs.sign()), "set")).provider, "set");
  assert.equal((await tested.ask(bearer(await es.sign()), "set")).provider, "set");
});

test("the identity of a cached token is returned without a promise", async () => {
  const tested = providers(shared);
  const token = await signShared(secret);
  const identity = await tested.ask(bearer(token));
  assert.equal(tested.askNow(bearer(token)), identity);
  assert.ok(Object.isFrozen(identity));
});

test("equal tokens at one time are verified once", async () => {
  const tested = providers(shared);
  const token = await signShared(secret);
  const asked = Array.from({ length: 20 }, () => tested.askNow(bearer(token)));
  assert.ok(asked[0] instanceof Promise);
  const identities = await Promise.all(asked);
  assert.ok(identities.every(identity => identity === identities[0]));
});

test("a jwt provider with cache: 0s verifies each request", async () => {
  const tested = providers(`users: { type: jwt, secret: "${secret}", algorithms: [HS256], cache: 0s }`);
  const token = await signShared(secret);
  await tested.ask(bearer(token));
  assert.ok(tested.askNow(bearer(token)) instanceof Promise);
});

test("a token that is known expires all the same, tolerance included", async () => {
  let time = Date.now();
  const tested = providers(shared, { now: () => time });
  const exp = Math.floor(time / 1000) + 60;
  const token = await signShared(secret, { exp });
  assert.equal((await tested.ask(bearer(token))).expiresAt, exp * 1000);
  time = exp * 1000 + 4900;
  assert.ok(!(tested.askNow(bearer(token)) instanceof Promise));
  time = exp * 1000 + 5000;
  await rejects(tested, token, /"exp" claim/, "TOKEN_EXPIRED");
});

test("alg none is refused in every spelling", async () => {
  const tested = providers(shared);
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, ["HS256"]]) {
    await rejects(tested, forged({ alg }, { sub: "ada", exp: inAnHour() }), /ERR_J/);
  }
  await rejects(tested, forged({}, { sub: "ada", exp: inAnHour() }), /ERR_J/);
});

test("a public key is no HMAC secret, whatever the token says", async () => {
  const tested = providers(rsa);
  for (const key of [rs.pem, rs.pem.trim(), rs.pem.replaceAll("\n", "\r\n")]) {
    const head = Buffer.from(JSON.stringify({ alg: "HS256" })).toString("base64url");
    const body = Buffer.from(JSON.stringify({ sub: "ada", exp: inAnHour() })).toString("base64url");
    const signature = createHmac("sha256", key).update(`${head}.${body}`).digest("base64url");
    await rejects(tested, `${head}.${body}.${signature}`, /ERR_JOSE_ALG_NOT_ALLOWED/);
  }
});

test("an algorithm that is not listed is refused, even where the key could do it", async () => {
  const tested = providers(`users: { type: jwt, secret: "${secret}", algorithms: [HS512] }`);
  await rejects(tested, await signShared(secret), /ERR_JOSE_ALG_NOT_ALLOWED/);
});

test("another secret, a changed payload and a changed signature are refused", async () => {
  const tested = providers(shared);
  const token = await signShared(secret);
  const [head = "", , tail = ""] = token.split(".");
  await rejects(tested, await signShared(`${secret}!`), /ERR_JWS_SIGNATURE/);
  const body = Buffer.from(JSON.stringify({ sub: "eve", exp: inAnHour() })).toString("base64url");
  await rejects(tested, `${head}.${body}.${tail}`, /ERR_JWS_SIGNATURE/);
  await rejects(tested, `${token.slice(0, -4)}AAAA`, /ERR_JWS_SIGNATURE/);
  await rejects(tested, `${head}.${body}.`, /ERR_J/);
});

test("issuer and audience must be one of those configured", async () => {
  const tested = providers(
    `users: { type: jwt, secret: "${secret}", algorithms: [HS256], issuer: [a, b], audience: api }`,
  );
  const good = { iss: "b", aud: ["other", "api"] };
  assert.equal((await tested.ask(bearer(await signShared(secret, good)))).subject, "ada");
  await rejects(tested, await signShared(secret, { ...good, iss: "c" }), /"iss"/);
  await rejects(tested, await signShared(secret, { aud: "api" }), /"iss"/);
  await rejects(tested, await signShared(secret, { ...good, aud: "apis" }), /"aud"/);
  await rejects(tested, await signShared(secret, { iss: "a" }), /"aud"/);
});

test("expired and not yet valid tokens are refused beyond the tolerance", async () => {
  const tested = providers(shared);
  const now = Math.floor(Date.now() / 1000);
  assert.ok(await tested.ask(bearer(await signShared(secret, { exp: now - 3 }))));
  await rejects(tested, await signShared(secret, { exp: now - 30 }), /"exp"/, "TOKEN_EXPIRED");
  assert.ok(await tested.ask(bearer(await signShared(secret, { nbf: now + 3 }))));
  await rejects(tested, await signShared(secret, { nbf: now + 30 }), /"nbf"/, "TOKEN_NOT_YET_VALID");
});

test("a token without exp is refused unless the configuration requires no claims", async () => {
  const tested = providers(`${shared},
    eternal: { type: jwt, secret: "${secret}", algorithms: [HS256], required_claims: [] }`);
  const token = forged({ alg: "HS256" }, { sub: "ada" });
  const signature = createHmac("sha256", secret).update(token.slice(0, -1)).digest("base64url");
  assert.equal((await tested.refused(bearer(token + signature), "users")).reason, "CREDENTIALS_INVALID");
  assert.equal((await tested.ask(bearer(token + signature), "eternal")).expiresAt, undefined);
});

test("exp and nbf that are no numbers are refused", async () => {
  const tested = providers(shared);
  for (const claims of [{ exp: "9999999999" }, { exp: null }, { exp: true }, { exp: inAnHour(), nbf: "0" }]) {
    const token = forged({ alg: "HS256" }, { sub: "ada", ...claims });
    const signature = createHmac("sha256", secret).update(token.slice(0, -1)).digest("base64url");
    await rejects(tested, token + signature, /ERR_JWT/);
  }
});

test("max_age counts from iat, also for tokens that are known", async () => {
  let time = Date.now();
  const tested = providers(`users: { type: jwt, secret: "${secret}", algorithms: [HS256], max_age: 60s }`, {
    now: () => time,
  });
  const iat = Math.floor(time / 1000);
  const token = await signShared(secret, { iat });
  assert.ok(await tested.ask(bearer(token)));
  time += 70_000;
  await rejects(tested, token, /"iat"/, "TOKEN_EXPIRED");
  await rejects(tested, await signShared(secret), /"iat"/);
});

test("an unknown critical header is refused", async () => {
  const tested = providers("users: { type: jwt, public_key: es.pem, algorithms: [ES256] }");
  for (const header of [
    { crit: ["exp"], exp: 1 },
    { crit: [] },
    { crit: "b64" },
    { crit: ["x"] },
    { crit: ["b64"], b64: false },
  ]) {
    await rejects(tested, forged({ alg: "ES256", ...header }, { sub: "ada" }, "AAAA"), /ERR_J/);
  }
});

test("keys that a token brings along mean nothing", async () => {
  const tested = providers("users: { type: jwt, jwks: keys.json, algorithms: [ES256] }");
  const eve = await signer("es");
  const { kid: _, ...jwk } = eve.jwk;
  const url = "http://127.0.0.1:1/keys.json";
  for (const header of [{ jwk }, { jku: url }, { x5u: url }, { x5c: ["AAAA"] }]) {
    await rejects(tested, await eve.sign({}, header), /ERR_JWS_SIGNATURE/);
  }
});

test("a huge token is refused before anything is done with it", async () => {
  const tested = providers(shared);
  const token = await signShared(secret, { filler: "x".repeat(8000) });
  assert.ok(token.length > 8192);
  await rejects(tested, token, /longer than 8192/);
});

test("two Authorization headers, joined as they arrive, are refused", async () => {
  const tested = providers(shared);
  const token = await signShared(secret);
  await rejects(tested, `${token}, Bearer ${token}`, /the token contains invalid characters/);
  await rejects(tested, `${token},${token}`, /the token contains invalid characters/);
  await rejects(tested, `${token} x`, /the token contains invalid characters/);
});

test("a credential that is not a token is refused as malformed", async () => {
  const tested = providers(shared);
  for (const token of [
    "x",
    "a.b.c",
    "....",
    "a.b.c.d.e",
    forged("{", "{"),
    forged({ alg: "HS256" }, "[]", "AA"),
  ]) {
    await rejects(tested, token, /ERR_J/, "TOKEN_MALFORMED");
  }
});

test("a token whose subject is not a non-empty string is refused", async () => {
  const tested = providers(shared);
  for (const sub of ["", 7, null, ["ada"], { id: "ada" }, true]) {
    const token = forged({ alg: "HS256" }, { sub, exp: inAnHour() });
    const signature = createHmac("sha256", secret).update(token.slice(0, -1)).digest("base64url");
    await rejects(tested, token + signature, /"sub" must be a non-empty string/);
  }
  await rejects(tested, await signShared(secret, { sub: "x".repeat(513) }), /longer than 512/);
});

test("claims of any name cannot reach a prototype", async () => {
  const tested = providers(
    `users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { "constructor.name": x-a, toString: x-b, __proto__.admin: x-c } }`,
  );
  const payload = `{"sub":"ada","exp":${inAnHour()},"__proto__":{"admin":true},"constructor":{"prototype":{}}}`;
  const token = forged({ alg: "HS256" }, payload);
  const signature = createHmac("sha256", secret).update(token.slice(0, -1)).digest("base64url");
  const { claims, metadata } = await tested.ask(bearer(token + signature));
  assert.equal(Object.getPrototypeOf(claims), null);
  assert.equal(claims.admin, undefined);
  assert.equal((claims as { toString?: unknown }).toString, undefined);
  const inner = Object.getOwnPropertyDescriptor(claims, "__proto__")?.value as object;
  assert.deepEqual(Object.entries(inner), [["admin", true]]);
  assert.equal(({} as { admin?: boolean }).admin, undefined);
  assert.deepEqual(metadata, [["x-c", "true"]]);
});

function rawToken(payload: string): string {
  const token = forged({ alg: "HS256" }, payload);
  return token + createHmac("sha256", secret).update(token.slice(0, -1)).digest("base64url");
}

test("numbers in claims keep their digits, alone, in lists, in objects and by a way of dots", async () => {
  const tested = providers(
    `users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { uid: x-uid, ids: x-ids, org: x-org, org.id: x-org-id, rate: x-rate, whole: x-whole, small: x-small, uid.text: x-none } }`,
  );
  const claims = `"uid":9007199254740993,"ids":[9007199254740993,18446744073709551617,1],"org":{"id":-9007199254740993,"deep":[{"n":9007199254740995}]},"rate":0.10000000000000000555,"whole":1e3,"small":5`;
  const { metadata, expiresAt } = await tested.ask(
    bearer(rawToken(`{"sub":"ada","exp":${inAnHour()},${claims}}`)),
  );
  assert.deepEqual(metadata, [
    ["x-uid", "9007199254740993"],
    ["x-ids", "9007199254740993,18446744073709551617,1"],
    ["x-org", '{"id":-9007199254740993,"deep":[{"n":9007199254740995}]}'],
    ["x-org-id", "-9007199254740993"],
    ["x-rate", "0.10000000000000000555"],
    ["x-whole", "1000"],
    ["x-small", "5"],
  ]);
  assert.equal(typeof expiresAt, "number");
});

test("claims that are no strict JSON are refused: names given twice, bytes that are not UTF-8", async () => {
  const tested = providers(shared);
  const twice = rawToken(`{"sub":"ada","exp":${inAnHour()},"role":"user","role":"admin"}`);
  await rejects(tested, twice, /two members named "role"/, "TOKEN_MALFORMED");
  await rejects(tested, rawToken(`{"sub":"\\ud800","exp":${inAnHour()}}`), /surrogate/, "TOKEN_MALFORMED");
});

test("subject and scopes come from the claims that are configured", async () => {
  const tested = providers(`
    im: { type: jwt, secret: "${secret}", algorithms: [HS256], header: token, subject: UserID, scopes: "realm.roles" },
    plain: { type: jwt, secret: "${secret}", algorithms: [HS256] }`);
  const token = await signShared(secret, {
    UserID: "u1",
    realm: { roles: ["a", "b", 3, ""] },
    scope: "x y  z",
  });
  const im = await tested.ask({ headers: { token } }, "im");
  assert.equal(im.subject, "u1");
  assert.deepEqual([...im.scopes], ["a", "b"]);
  assert.deepEqual([...(await tested.ask(bearer(token), "plain")).scopes], ["x", "y", "z"]);
  assert.equal((await tested.refused(bearer(token), "im")).reason, "CREDENTIALS_MISSING");
});

test("claims become metadata that a header line can carry", async () => {
  const tested =
    providers(`users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: {
    sub: x-user, name: x-name, groups: x-groups, admin: x-admin, level: x-level, "https://x.example/org": x-org,
    org.id: x-org-id, gone: x-gone, nil: x-nil, org: x-json } }`);
  const { metadata } = await tested.ask(
    bearer(
      await signShared(secret, {
        name: " Žofie\r\nx-evil: 100% ",
        groups: ["a", "b,c", "ö \u{1f600}", 1],
        admin: true,
        level: 3,
        "https://x.example/org": "acme",
        org: { id: "o1" },
        nil: null,
      }),
    ),
  );
  assert.deepEqual(metadata, [
    ["x-user", "ada"],
    ["x-name", "%20%C5%BDofie%0D%0Ax-evil: 100%25%20"],
    ["x-groups", "a,b%2Cc,%C3%B6%20%F0%9F%98%80,1"],
    ["x-admin", "true"],
    ["x-level", "3"],
    ["x-org", "acme"],
    ["x-org-id", "o1"],
    ["x-json", '{"id":"o1"}'],
  ]);
});

test("claims that make too much metadata are refused", async () => {
  const tested = providers(
    `users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { name: x-name } }`,
  );
  await rejects(tested, await signShared(secret, { name: "ö".repeat(1500) }), /metadata/);
});

test("a token without kid is tried with every key that fits its algorithm", async () => {
  const other = await signer("other");
  const { kid: _a, ...first } = other.jwk;
  const { kid: _b, ...second } = es.jwk;
  workspace.write("nameless.json", JSON.stringify({ keys: [first, second] }));
  const tested = providers("users: { type: jwt, jwks: nameless.json, algorithms: [ES256] }");
  assert.ok(await tested.ask(bearer(await es.sign({}, { kid: undefined }))));
  await rejects(tested, await (await signer("x")).sign({}, { kid: undefined }), /ERR_JWS_SIGNATURE/);
});

test("a file of keys is read again when it changes, and tokens of a key that is gone are not accepted", async () => {
  const next = await signer("next");
  const file = workspace.write("rotating.json", JSON.stringify({ keys: [es.jwk] }));
  const tested = providers(`users: { type: jwt, jwks: ${file}, algorithms: [ES256] }`);
  const token = await es.sign();
  assert.ok(await tested.ask(bearer(token)));
  workspace.write("rotating.json", "{");
  assert.match((await tested.logged("keeping")).message, /is not JSON; keeping the previous keys/);
  assert.ok(!(tested.askNow(bearer(token)) instanceof Promise));
  workspace.write("rotating.json", JSON.stringify({ keys: [next.jwk] }));
  await tested.logged("read again");
  await rejects(tested, token, /ERR_JWKS_NO_MATCHING_KEY/);
  assert.ok(await tested.ask(bearer(await next.sign())));
});

test("a short secret is accepted, but said", () => {
  const tested = providers("users: { type: jwt, secret: openIM123, algorithms: [HS256] }");
  assert.match(tested.events[0]?.message ?? "", /shorter than the 32 bytes/);
  assert.doesNotMatch(JSON.stringify(tested.events), /openIM123/);
});
