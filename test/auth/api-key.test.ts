import assert from "node:assert/strict";
import { test } from "node:test";
import { hashApiKey, readApiKeys } from "../../src/auth/providers/api-key/key-file.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { Workspace } from "../config/workspace.js";
import { type TestProviders, testProviders } from "./harness.js";

const workspace = new Workspace();
const acme = "pk_live_3f1c9a7e5b2d4860";
const globex = "pk_live_00112233445566778899";

function provider(keys: string, more = "", now?: () => number): TestProviders {
  const file = workspace.write("keys.yaml", keys);
  return testProviders(
    workspace.config(
      `listeners: { http: { address: ":0" } }\nauth: { providers: { partners: { type: api_key, keys: ${file}${more} } } }\n`,
    ),
    now === undefined ? {} : { now },
  );
}

const twoKeys = `
- { hash: "${hashApiKey(acme)}", subject: acme, scopes: [read, write], metadata: { x-tenant: "acmé 100%" } }
- { hash: "${hashApiKey(globex).toUpperCase().replace("SHA", "sha")}", subject: globex, expires: 2027-01-31 }
`;

test("a key gives its subject and scopes", async () => {
  const tested = provider(twoKeys, "", () => Date.parse("2027-01-30T23:59:59Z"));
  const identity = tested.askNow({ headers: { "x-api-key": acme } });
  assert.ok(!(identity instanceof Promise));
  assert.equal(identity.subject, "acme");
  assert.equal(identity.provider, "partners");
  assert.deepEqual([...identity.scopes], ["read", "write"]);
  assert.deepEqual(identity.metadata, [["x-tenant", "acm%C3%A9 100%25"]]);
  assert.deepEqual({ ...identity.claims }, { sub: "acme", scope: "read write" });
  assert.equal(Object.getPrototypeOf(identity.claims), null);
  assert.equal((await tested.ask({ headers: { "x-api-key": globex } })).expiresAt, Date.parse("2027-01-31"));
});

test("an unknown key, a hash, and the key with anything around it are refused", async () => {
  const tested = provider(twoKeys);
  for (const key of [
    `${acme}x`,
    acme.slice(1),
    acme.toUpperCase(),
    hashApiKey(acme),
    `${acme}, ${acme}`,
    `${acme},`,
    `${acme}\u00e9`,
    Buffer.from(`${acme}é`).toString("latin1"),
  ]) {
    const failure = await tested.refused({ headers: { "x-api-key": key } });
    assert.equal(failure.reason, "CREDENTIALS_INVALID", key);
    assert.deepEqual(failure.headers, [["www-authenticate", 'ApiKey realm="protogate"']]);
  }
  assert.equal(
    (await tested.refused({ headers: { "x-api-key": "k".repeat(9000) } })).reason,
    "CREDENTIALS_INVALID",
  );
  assert.equal((await tested.refused({})).reason, "CREDENTIALS_MISSING");
  assert.doesNotMatch(JSON.stringify(tested.events), /pk_live/);
});

test("a key expires at its time", async () => {
  const tested = provider(twoKeys, "", () => Date.parse("2027-01-31T00:00:00Z"));
  assert.equal((await tested.refused({ headers: { "x-api-key": globex } })).reason, "TOKEN_EXPIRED");
});

test("keys are read from a header with scheme, a cookie or the query", async () => {
  const tested = provider(twoKeys, ", header: authorization, scheme: Key, cookie: key, query: api_key");
  assert.ok(await tested.ask({ headers: { authorization: `key ${acme}` } }));
  assert.ok(await tested.ask({ headers: { cookie: `key=${acme}` } }));
  assert.ok(await tested.ask({ query: `api_key=${acme}` }));
  const failure = await tested.refused({ headers: { cookie: `key=${acme}` }, query: `api_key=${acme}` });
  assert.equal(failure.reason, "CREDENTIALS_INVALID");
  assert.deepEqual(failure.headers, [["www-authenticate", 'Key realm="protogate"']]);
  assert.equal((await tested.refused({ headers: { "x-api-key": acme } })).reason, "CREDENTIALS_MISSING");
});

test("the file is read again when it changes, and one with errors changes nothing", async () => {
  const tested = provider(twoKeys);
  const ask = () => tested.ask({ headers: { "x-api-key": acme } });
  assert.ok(await ask());
  workspace.write("keys.yaml", `- { hash: "${hashApiKey(acme)}", subjct: acme }\n`);
  const { message } = await tested.logged("errors");
  assert.match(message, /keys: .*keys\.yaml:1:\d+: error: .*subjct/);
  assert.ok(await ask());
  const unknown = await tested.refused({ headers: { "x-api-key": "not-a-key" } });
  assert.deepEqual([unknown.reason, unknown.retryAfter], ["AUTH_UNAVAILABLE", 1]);
  workspace.write("keys.yaml", `- { hash: "${hashApiKey(globex)}", subject: globex }\n`);
  assert.match((await tested.logged("read again")).message, /1 keys/);
  assert.equal((await tested.refused({ headers: { "x-api-key": acme } })).reason, "CREDENTIALS_INVALID");
  assert.equal((await tested.ask({ headers: { "x-api-key": globex } })).subject, "globex");
});

test("mistakes in a file of API keys are errors with line and column", () => {
  const file = workspace.write(
    "wrong.yaml",
    `- { hash: "md5:00", subject: "" }
- { hash: "${hashApiKey(acme)}", subject: acme, expires: 2027-02-30 }
- { hash: "${hashApiKey(acme)}", subject: acme, metadata: { grpc-x: a, x-tenant: b, x-bin: c, X-Big: d } }
- { subject: acme, scopes: read }
`,
  );
  const problems = readApiKeys(file, "partners", new Map([["x-tenant", "services[0].metadata.request"]]));
  assert.equal(problems.keys.size, 0);
  assert.deepEqual(
    problems.diagnostics.map(each => formatDiagnostic(each).replace(`${workspace.folder}/`, "").slice(0, 96)),
    [
      'wrong.yaml:1:11: error: expected a hash, "sha256:" and 64 hexadecimal digits, found "md5:00" (at',
      'wrong.yaml:1:30: error: expected a string that is not empty, found "" (at [0].subject)',
      "wrong.yaml:2:110: error: expected a date such as 2027-01-31, or a time such as 2027-01-31T12:00:",
      "wrong.yaml:3:11: error: the key has an entry already, [1] (at [2].hash)",
      'wrong.yaml:3:121: error: "grpc-x" is written by the gateway and gRPC themselves (at [2].metadata',
      'wrong.yaml:3:134: error: "x-tenant" is also passed from the client by services[0].metadata.reque',
      'wrong.yaml:3:144: error: "x-bin" is written by the gateway and gRPC themselves (at [2].metadata.',
      'wrong.yaml:3:147: error: "X-Big" cannot be a name here; expected a name of metadata in lower cas',
      'wrong.yaml:4:3: error: missing key "hash"; expected a hash, "sha256:" and 64 hexadecimal digits ',
      'wrong.yaml:4:28: error: expected a list, found "read" (at [3].scopes)',
    ],
  );
  assert.match(
    formatDiagnostic(readApiKeys(workspace.path("no.yaml"), "p", new Map()).diagnostics[0]!),
    /the file of keys does not exist/,
  );
});

test("an API key that no header can carry is refused without being hashed", () => {
  assert.match(hashApiKey(acme), /^sha256:[0-9a-f]{64}$/);
  for (const key of ["", "a b", "a,b", "ä", "a\n"]) assert.throws(() => hashApiKey(key), /expected a key/);
});
