import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthenticators } from "../../src/auth/authenticators.js";
import { hashApiKey } from "../../src/auth/providers/api-key/key-file.js";
import type { GatewayConfig } from "../../src/gateway/config.js";
import { Workspace } from "../config/workspace.js";
import { bearer, testProviders } from "./harness.js";
import { startIssuer } from "./issuer.js";
import { inAnHour, signer, signShared } from "./tokens.js";

const first = "the first secret of 32 bytes or more";
const second = "the second secret of 32 bytes or more";
const workspace = new Workspace({ "keys.yaml": `- { hash: "${hashApiKey("k1")}", subject: acme }\n` });

const issuer = await startIssuer();
issuer.answer = (request, _) => request.socket.destroy();

const config: GatewayConfig = workspace.config(`
listeners: { http: { address: ":0" } }
auth:
  providers:
    a: { type: jwt, secret: "${first}", algorithms: [HS256] }
    b: { type: jwt, secret: "${second}", algorithms: [HS256] }
    keys: { type: api_key, keys: keys.yaml }
    raw: { type: jwt, secret: "${first}", algorithms: [HS256], header: token }
    down: { type: jwt, jwks: "${issuer.url}", algorithms: [ES256] }
`);
const tested = testProviders(config);

const challenges = async (...asked: Parameters<typeof tested.refused>): Promise<string[]> =>
  (await tested.refused(...asked)).headers.map(([name, value]) => `${name}: ${value}`);

test("the first provider that accepts wins, whatever those before it said", async () => {
  const token = await signShared(second);
  assert.equal((await tested.ask(bearer(token), "a", "b")).provider, "b");
  assert.equal((await tested.ask(bearer(token), "b", "a")).provider, "b");
  const both = { headers: { authorization: `Bearer ${token}`, "x-api-key": "k1" } };
  assert.equal((await tested.ask(both, "a", "keys")).provider, "keys");
  assert.equal((await tested.ask(both, "b", "keys")).provider, "b");
  assert.equal((await tested.ask(both, "keys", "b")).provider, "keys");
});

test("a provider without credentials in the request is passed over", async () => {
  assert.equal((await tested.ask({ headers: { "x-api-key": "k1" } }, "a", "b", "keys")).subject, "acme");
  const mixed = { headers: { authorization: "Basic YTpi", "x-api-key": "k1" } };
  assert.equal((await tested.ask(mixed, "a", "keys")).subject, "acme");
});

test("401 names each scheme once, with an error only where a token was presented", async () => {
  const invalid = 'www-authenticate: Bearer realm="protogate", error="invalid_token"';
  const bare = 'www-authenticate: Bearer realm="protogate"';
  const key = 'www-authenticate: ApiKey realm="protogate"';
  assert.deepEqual(await challenges({}, "a", "b", "keys"), [bare, key]);
  assert.deepEqual(await challenges(bearer("x"), "a", "b", "keys"), [invalid, key]);
  assert.deepEqual(await challenges({ headers: { token: "x" } }, "a", "raw"), [invalid]);
  assert.deepEqual(await challenges({ headers: { "x-api-key": "x" } }, "keys", "a"), [key, bare]);
});

test("the reason is the most telling one: expired before refused before missing", async () => {
  const expired = await signShared(first, { exp: 1 });
  assert.equal((await tested.refused(bearer(expired), "a", "b")).reason, "TOKEN_EXPIRED");
  assert.equal((await tested.refused(bearer("x"), "a", "b")).reason, "TOKEN_MALFORMED");
  assert.equal((await tested.refused({}, "a", "b")).reason, "CREDENTIALS_MISSING");
});

test("a provider that cannot decide leaves it to the next; the response is 503 if none accepts", async () => {
  const token = await signShared(first);
  const foreign = await (await signer("x")).sign();
  assert.equal(
    (await tested.ask({ headers: { token, authorization: `Bearer ${foreign}` } }, "down", "raw")).provider,
    "raw",
  );
  const failure = await tested.refused(bearer(foreign), "a", "down");
  assert.equal(failure.httpStatus, 503);
  assert.equal(failure.reason, "AUTH_UNAVAILABLE");
  assert.deepEqual(failure.headers, []);
});

test("a 401 says no more of a failed authentication than its reason", async () => {
  const failure = await tested.refused(bearer(await signShared(second, { iss: "x", exp: inAnHour() })), "a");
  const { message, details, code } = failure;
  assert.deepEqual(
    { message, details, code },
    { message: "the credentials are not accepted", details: [], code: 16 },
  );
});

test("the same names give the same authenticator, and none has no provider", () => {
  const authenticators = createAuthenticators(
    { ...config, auth: { ...config.auth, providers: {} } },
    {
      model: undefined as never,
      passedHeaders: new Map(),
      channel: () => undefined as never,
      metrics: undefined as never,
      refreshes: undefined as never,
      log: () => undefined,
    },
  );
  assert.equal(authenticators.authenticatorOf("none"), undefined);
  assert.equal(authenticators.authenticatorOf(["a"]), authenticators.authenticatorOf(["a"]));
  assert.notEqual(authenticators.authenticatorOf(["a", "b"]), authenticators.authenticatorOf(["b", "a"]));
});
