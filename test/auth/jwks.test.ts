import assert from "node:assert/strict";
import { after, test } from "node:test";
import { RemoteKeySet, type RemoteKeySetOptions } from "../../src/auth/providers/jwt/key-set.js";
import type { GatewayConfig } from "../../src/gateway/config.js";
import { Workspace } from "../config/workspace.js";
import { bearer, type TestProviders, testProviders } from "./harness.js";
import { type Issuer, startIssuer } from "./issuer.js";
import { signer } from "./tokens.js";

const workspace = new Workspace();
const one = await signer("one");
const two = await signer("two");

interface Times {
  readonly refresh?: number;
  readonly cooldown?: number;
}

/** A provider with the keys of the issuer; times in milliseconds, shorter than a configuration may make them. */
function provider(issuer: Issuer, times: Times = {}): TestProviders {
  const config = workspace.config(`
listeners: { http: { address: ":0" } }
auth: { providers: { users: { type: jwt, jwks: "${issuer.url}", algorithms: [ES256] } } }
`);
  const users = { ...config.auth.providers.users, ...times };
  return testProviders({ ...config, auth: { ...config.auth, providers: { users } } } as GatewayConfig);
}

function options({ url }: Issuer): RemoteKeySetOptions {
  return {
    locate: () => url,
    refresh: 300_000,
    cooldown: 30_000,
    clock: () => performance.now(),
    fetched: () => undefined,
  };
}

const invalid = { httpStatus: 401, reason: "CREDENTIALS_INVALID" };
const unavailable = { httpStatus: 503, reason: "AUTH_UNAVAILABLE" };

async function refusal(tested: TestProviders, token: string) {
  const { httpStatus, reason } = await tested.refused(bearer(token));
  return { httpStatus, reason };
}

test("keys are fetched before the first request, and once for many", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer);
  await issuer.fetched(1);
  const tokens = await Promise.all(Array.from({ length: 50 }, (_, index) => one.sign({ sub: `u${index}` })));
  const identities = await Promise.all(tokens.map(token => tested.ask(bearer(token))));
  assert.deepEqual(new Set(identities.map(each => each.subject)).size, 50);
  assert.equal(issuer.fetches, 1);
});

test("a new key is fetched when a token names it", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer, { cooldown: 0 });
  assert.ok(await tested.ask(bearer(await one.sign())));
  issuer.serve(one.jwk, two.jwk);
  assert.ok(await tested.ask(bearer(await two.sign())));
  assert.equal(issuer.fetches, 2);
});

test("a thousand tokens with unknown keys cost no fetch within the cool-down", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer);
  assert.ok(await tested.ask(bearer(await one.sign())));
  const tokens = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => two.sign({}, { kid: `k${index}` })),
  );
  const answers = await Promise.all(tokens.map(token => refusal(tested, token)));
  for (const answer of answers) assert.deepEqual(answer, invalid);
  assert.equal(issuer.fetches, 1);
});

test("a thousand unknown keys cost one fetch for each cool-down, and known ones wait for none", async () => {
  const issuer = await startIssuer(one.jwk);
  let time = 0;
  const keys = new RemoteKeySet({ ...options(issuer), clock: () => time });
  after(() => keys.close());
  const find = (kid: string) => keys.candidates({ alg: "ES256", kid }, { payload: "", signature: "" });
  const storm = async (): Promise<void> => {
    const found = await Promise.allSettled(Array.from({ length: 1000 }, (_, index) => find(`k${index}`)));
    assert.ok(found.every(({ status }) => status === "rejected"));
  };
  await find("one");
  await storm();
  assert.equal(issuer.fetches, 1);
  for (const fetches of [2, 3]) {
    time += 30_000;
    await storm();
    assert.equal(issuer.fetches, fetches);
  }
  time += 30_000;
  let release: () => void = () => undefined;
  const { answer } = issuer;
  issuer.answer = (request, response) => {
    release = () => answer(request, response);
  };
  const asking = storm();
  await issuer.fetched(4);
  assert.equal((await find("one")).length, 1);
  release();
  await asking;
  assert.equal(issuer.fetches, 4);
});

test("keys are fetched again in the background, and what a lost key has signed is refused from then on", async () => {
  const issuer = await startIssuer(one.jwk, two.jwk);
  const tested = provider(issuer, { refresh: 30 });
  const lost = await one.sign();
  const kept = await two.sign();
  await tested.ask(bearer(lost));
  await tested.ask(bearer(kept));
  issuer.serve(two.jwk);
  const before = issuer.fetches;
  // The second fetch from now has certainly begun after the change, and the third after its answer was taken.
  await issuer.fetched(before + 3);
  assert.deepEqual(await refusal(tested, lost), invalid);
  assert.ok(await tested.ask(bearer(kept)));
});

test("a key of the same name with other content is another key", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer, { refresh: 30 });
  const token = await one.sign();
  await tested.ask(bearer(token));
  const again = await signer("one");
  issuer.serve(again.jwk);
  await issuer.fetched(issuer.fetches + 3);
  assert.deepEqual(await refusal(tested, token), invalid);
  assert.ok(await tested.ask(bearer(await again.sign())));
});

test("the last good key set stays in use while the issuer is down", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer, { refresh: 30, cooldown: 0 });
  assert.ok(await tested.ask(bearer(await one.sign())));
  await issuer.close();
  assert.match((await tested.logged("stays")).message, /cannot be fetched: .*the last good one stays/);
  assert.ok(await tested.ask(bearer(await one.sign({ sub: "bob" }))));
  assert.deepEqual(await refusal(tested, await two.sign()), unavailable);
});

test("a token of a key that is not known is a 503 while the keys cannot be fetched, and a 401 once they can", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer, { cooldown: 0 });
  assert.ok(await tested.ask(bearer(await one.sign())));
  const { answer } = issuer;
  issuer.answer = (_, response) => response.writeHead(500).end();
  const failure = await tested.refused(bearer(await two.sign()));
  assert.deepEqual([failure.httpStatus, failure.reason, failure.retryAfter], [503, "AUTH_UNAVAILABLE", 1]);
  const { kid } = two.jwk;
  const forged = await two.sign({}, { kid: String(one.jwk.kid) });
  assert.deepEqual(await refusal(tested, forged), invalid, `the key of ${kid} is not the one that it names`);
  assert.ok(await tested.ask(bearer(await one.sign({ sub: "new" }))), "known keys go on");
  issuer.answer = answer;
  assert.deepEqual(await refusal(tested, await two.sign()), invalid);
  issuer.serve(one.jwk, two.jwk);
  assert.ok(await tested.ask(bearer(await two.sign())));
});

test("an unknown key within the cool-down after a failed fetch of keys is a 503 without another fetch", async () => {
  const issuer = await startIssuer(one.jwk);
  let time = 0;
  const keys = new RemoteKeySet({ ...options(issuer), clock: () => time });
  after(() => keys.close());
  const find = (kid: string) => keys.candidates({ alg: "ES256", kid }, { payload: "", signature: "" });
  await find("one");
  await assert.rejects(find("two"), { code: "ERR_JWKS_NO_MATCHING_KEY" });
  time += 30_000;
  issuer.answer = (_, response) => response.writeHead(500).end();
  for (let i = 0; i < 3; i++) await assert.rejects(find("two"), { name: "Refusal", result: "unavailable" });
  assert.equal(issuer.fetches, 2);
});

test("an issuer that was never there is a 503, without a fetch for each request", async () => {
  const issuer = await startIssuer();
  issuer.answer = (request, _) => request.socket.destroy();
  const tested = provider(issuer);
  const tokens = await Promise.all(Array.from({ length: 100 }, () => one.sign()));
  for (const token of tokens) assert.deepEqual(await refusal(tested, token), unavailable);
  assert.equal(issuer.fetches, 1);
  assert.deepEqual((await tested.refused(bearer(tokens[0] ?? ""))).headers, []);
  const { message } = await tested.logged("refused with 503");
  assert.match(
    message,
    /^no key set from http:\/\/127\.0\.0\.1:\d+\/\S+ yet: .*; tokens are refused with 503$/,
  );
  // It is tried again by itself.
  issuer.serve(one.jwk);
  await tested.logged("can be fetched again");
  assert.ok(await tested.ask(bearer(tokens[0] ?? "")));
});

for (const [what, answer, cause] of [
  ["is not JSON", "<html>", /is not JSON/],
  ["is a list", "[]", /is no JWK set/],
  ["has keys that are no list", '{"keys":{}}', /is no JWK set/],
  ["is null", "null", /is no JWK set/],
  ["has too many keys", JSON.stringify({ keys: Array(101).fill(one.jwk) }), /more than 100 keys/],
  ["is huge", `{"keys":[],"x":"${"y".repeat(1 << 20)}"}`, /larger than 262144 bytes/],
  ["is empty", "", /is not JSON/],
] as const) {
  test(`a key set that ${what} changes nothing`, async () => {
    const issuer = await startIssuer(one.jwk);
    const tested = provider(issuer, { refresh: 20 });
    assert.ok(await tested.ask(bearer(await one.sign())));
    issuer.answer = (_, response) => response.end(answer);
    assert.match((await tested.logged("stays")).message, cause);
    assert.ok(await tested.ask(bearer(await one.sign({ sub: "bob" }))));
    tested.close();
  });
}

test("a set that never ends, and one that never comes, are given up", { timeout: 30_000 }, async () => {
  const issuer = await startIssuer();
  let ended: () => void = () => undefined;
  const gone = new Promise<void>(resolve => {
    ended = resolve;
  });
  issuer.answer = (_, response) => {
    response.on("close", ended);
    const feed = (): void => {
      while (!response.destroyed && response.write("x".repeat(10_000)));
      if (!response.destroyed) response.once("drain", feed);
    };
    feed();
  };
  const endless = provider(issuer);
  await gone;
  assert.match((await endless.logged("larger")).message, /larger than 262144/);

  const silent = await startIssuer();
  silent.answer = () => undefined;
  const error = await new Promise(resolve => {
    const keys = new RemoteKeySet({ ...options(silent), timeout: 100, fetched: resolve });
    after(() => keys.close());
  });
  assert.match(String(error), /timeout/);
});

test("redirects are not followed", async () => {
  const target = await startIssuer(one.jwk);
  const issuer = await startIssuer();
  issuer.answer = (_, response) => {
    response.writeHead(302, { location: target.url });
    response.end();
  };
  const tested = provider(issuer);
  assert.deepEqual(await refusal(tested, await one.sign()), unavailable);
  assert.match((await tested.logged("302")).message, /responds with 302; expected 200/);
  assert.equal(target.fetches, 0);
});

test("symmetric and private keys of a set, and ones for encryption, are passed over", async () => {
  const secret = Buffer.alloc(32, 1).toString("base64url");
  const issuer = await startIssuer(
    { kty: "oct", k: secret, kid: "one", alg: "ES256" },
    { ...two.jwk, use: "enc" },
    { ...two.jwk, kid: "private", d: "AAAA" },
    JSON.parse('"no key"'),
    one.jwk,
  );
  const tested = provider(issuer);
  assert.ok(await tested.ask(bearer(await one.sign())));
  assert.deepEqual(await refusal(tested, await two.sign()), invalid);
  assert.deepEqual(await refusal(tested, await two.sign({}, { kid: "private" })), invalid);
});

test("keys that cannot be used are a refusal, not a failure of the gateway", async () => {
  const issuer = await startIssuer({ ...one.jwk, x: "AAAA" }, { kty: "EC", crv: "P-256", kid: "two" });
  const tested = provider(issuer);
  assert.deepEqual(await refusal(tested, await one.sign()), invalid);
  assert.deepEqual(await refusal(tested, await two.sign()), invalid);
});

test("fetches by result, the age of the set and results of requests are metrics", async () => {
  const issuer = await startIssuer(one.jwk);
  const tested = provider(issuer, { refresh: 20 });
  await tested.ask(bearer(await one.sign()));
  await tested.refused(bearer(await two.sign()));
  await tested.refused(bearer(await one.sign({ exp: 1 })));
  await tested.refused({});
  issuer.answer = (_, response) => response.writeHead(500).end();
  await tested.logged("responds with 500");
  const metrics = await tested.metrics();
  assert.match(metrics, /protogate_auth_jwks_refreshes_total\{provider="users",result="success"\} [1-9]/);
  assert.match(metrics, /protogate_auth_jwks_refreshes_total\{provider="users",result="failure"\} [1-9]/);
  assert.match(metrics, /protogate_auth_jwks_age_seconds\{provider="users"\} [0-9.e-]+\n/);
  for (const [result, count] of Object.entries({
    accepted: 1,
    missing: 1,
    invalid: 1,
    expired: 1,
    unavailable: 0,
  })) {
    assert.ok(
      metrics.includes(`protogate_auth_total{provider="users",result="${result}"} ${count}\n`),
      result,
    );
  }
  tested.close();
  assert.doesNotMatch(await tested.metrics(), /age_seconds\{/);
});
