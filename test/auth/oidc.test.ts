import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import Provider, { type Configuration } from "oidc-provider";
import { Workspace } from "../config/workspace.js";
import { bearer, type TestOptions, testProviders } from "./harness.js";
import { signer } from "./tokens.js";

const workspace = new Workspace();
const servers: Server[] = [];

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

after(() => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

const clients = [
  {
    client_id: "app",
    client_secret: "app secret",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    scope: "orders.read",
  },
  {
    client_id: "gate way",
    client_secret: "s3cr:t%/+",
    grant_types: [],
    redirect_uris: [],
    response_types: [],
  },
];

const settings: Configuration = {
  clients,
  scopes: ["orders.read"],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "orders.read",
        audience: resource,
        accessTokenFormat: resource === "urn:jwt" ? "jwt" : "opaque",
        accessTokenTTL: 600,
      }),
    },
  },
};

/** A real issuer: oidc-provider. */
let issuer: string;

before(async () => {
  const server = createServer();
  issuer = await listening(server);
  server.on("request", new Provider(issuer, settings).callback());
});

async function post(path: string, form: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await fetch(`${issuer}${path}`, {
    method: "POST",
    body: new URLSearchParams(form),
    headers: { authorization: `Basic ${Buffer.from("app:app+secret").toString("base64")}` },
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text === "" ? {} : JSON.parse(text);
}

async function token(resource: string): Promise<string> {
  const form = { grant_type: "client_credentials", scope: "orders.read", resource };
  return String((await post("/token", form)).access_token);
}

function providers(section: object, options: TestOptions = {}) {
  const config = workspace.config(
    `listeners: { http: { address: ":0" } }\nauth: { providers: { users: ${JSON.stringify(section)} } }`,
  );
  return testProviders(config, options);
}

const introspection = () => ({
  type: "introspection",
  issuer,
  client_id: "gate way",
  client_secret: "s3cr:t%/+",
});

test("the URL of an OpenID Connect issuer is all that tokens are verified by", async () => {
  const { ask, refused } = providers({ type: "jwt", issuer, audience: "urn:jwt" });
  const identity = await ask(bearer(await token("urn:jwt")));
  assert.equal(identity.subject, "app");
  assert.deepEqual([...identity.scopes], ["orders.read"]);
  const foreign = await signer("foreign");
  const failure = await refused(bearer(await foreign.sign({ iss: issuer, aud: "urn:jwt" })));
  assert.equal(failure.reason, "CREDENTIALS_INVALID");
});

test("an opaque token is introspected at its issuer, and refused when inactive or for another audience", async () => {
  const { ask, refused } = providers({
    ...introspection(),
    cache: "0s",
    audience: ["urn:opaque", "urn:other"],
  });
  const opaque = await token("urn:opaque");
  const identity = await ask(bearer(opaque));
  assert.equal(identity.subject, "app");
  assert.deepEqual([...identity.scopes], ["orders.read"]);
  assert.ok((identity.expiresAt ?? 0) > Date.now());
  assert.equal((await refused(bearer("unknown"))).reason, "CREDENTIALS_INVALID");
  assert.equal((await refused(bearer(await token("urn:elsewhere")))).reason, "CREDENTIALS_INVALID");
  await post("/token/revocation", { token: opaque });
  assert.equal((await refused(bearer(opaque))).httpStatus, 401);
});

test("an active token is remembered for the time of `cache`, and no longer than it lives", async () => {
  let time = Date.now();
  const { ask, refused } = providers({ ...introspection(), cache: "20m" }, { now: () => time });
  const opaque = await token("urn:opaque");
  await ask(bearer(opaque));
  await post("/token/revocation", { token: opaque });
  assert.equal((await ask(bearer(opaque))).subject, "app");
  time += 606_000;
  assert.equal((await refused(bearer(opaque))).reason, "CREDENTIALS_INVALID");
});

test("a client secret that the issuer does not accept is 503 and named in the log", async () => {
  const tested = providers({ ...introspection(), client_secret: "wrong" });
  assert.equal((await tested.refused(bearer("x"))).reason, "AUTH_UNAVAILABLE");
  await tested.logged("does not accept client_id and client_secret");
});

/** An issuer that responds to each path as told; other paths are 404. */
async function scripted(paths: (issuer: string) => Record<string, unknown>): Promise<string> {
  const server = createServer((request, response) => {
    const body = paths(url)[request.url ?? ""];
    response.statusCode = body === undefined ? 404 : 200;
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  const url = await listening(server);
  return url;
}

test("the metadata of RFC 8414 is read where there is none of OpenID Connect", async () => {
  const key = await signer("one");
  const root = await scripted(url => ({
    "/.well-known/oauth-authorization-server/tenant": { issuer: `${url}/tenant`, jwks_uri: `${url}/keys` },
    "/keys": { keys: [key.jwk] },
  }));
  const { ask } = providers({ type: "jwt", issuer: `${root}/tenant` });
  assert.equal((await ask(bearer(await key.sign({ iss: `${root}/tenant` })))).subject, "ada");
});

const wrongMetadata: Record<string, [metadata: (url: string) => unknown, log: RegExp]> = {
  "of another issuer": [
    url => ({ issuer: `${url}/`, jwks_uri: `${url}/keys` }),
    /"issuer" is "http:.*\/"; expected exactly "http:.*\d"/,
  ],
  "without an issuer": [url => ({ jwks_uri: `${url}/keys` }), /"issuer" is nothing/],
  "without the URL of keys": [url => ({ issuer: url }), /without "jwks_uri"/],
  "with a URL of a file": [
    url => ({ issuer: url, jwks_uri: "file:///etc/passwd" }),
    /"jwks_uri" is not an https URL/,
  ],
  "that are not JSON": [() => "<html>", /is not JSON/],
  "that are a list": [() => [], /no JSON object/],
};
for (const [name, [metadata, log]] of Object.entries(wrongMetadata)) {
  test(`metadata of an issuer ${name} make tokens 503 and are named in the log`, async () => {
    const url = await scripted(issuer => ({ "/.well-known/openid-configuration": metadata(issuer) }));
    const tested = providers({ type: "jwt", issuer: url });
    assert.equal(
      (await tested.refused(bearer(await (await signer("one")).sign()))).reason,
      "AUTH_UNAVAILABLE",
    );
    assert.match((await tested.logged("no key set from")).message, log);
  });
}

const responses: Record<string, [response: unknown, reason: string]> = {
  "that is not active": [{ active: false }, "CREDENTIALS_INVALID"],
  "without active": [{ sub: "ada" }, "AUTH_UNAVAILABLE"],
  "in which active is a text": [{ active: "true", sub: "ada" }, "AUTH_UNAVAILABLE"],
  "that is not JSON": ["active", "AUTH_UNAVAILABLE"],
  "that names a member twice": ['{"active":true,"sub":"ada","sub":"root"}', "AUTH_UNAVAILABLE"],
  "without a subject": [{ active: true }, "CREDENTIALS_INVALID"],
  "of a token that has expired": [{ active: true, sub: "ada", exp: 1 }, "TOKEN_EXPIRED"],
  "of a token that is not valid yet": [
    { active: true, sub: "ada", nbf: 99_999_999_999 },
    "TOKEN_NOT_YET_VALID",
  ],
  "with a lifetime that is no number": [{ active: true, sub: "ada", exp: "soon" }, "AUTH_UNAVAILABLE"],
  "larger than 256 KiB": [{ active: true, sub: "ada", more: "x".repeat(300_000) }, "AUTH_UNAVAILABLE"],
};
for (const [name, [response, reason]] of Object.entries(responses)) {
  test(`an introspection response ${name} is ${reason}`, async () => {
    const url = await scripted(() => ({ "/introspect": response }));
    const tested = providers({ ...introspection(), issuer: undefined, url: `${url}/introspect` });
    assert.equal((await tested.refused(bearer("x"))).reason, reason);
  });
}

test("an introspection response of another issuer refuses the token", async () => {
  const url = await scripted(() => ({
    "/introspect": { active: true, sub: "ada", iss: "https://other.example" },
  }));
  const tested = providers({ ...introspection(), url: `${url}/introspect` });
  assert.equal((await tested.refused(bearer("x"))).reason, "CREDENTIALS_INVALID");
});

test("the digits of a number in an introspection response reach the backend as they are", async () => {
  const url = await scripted(() => ({ "/introspect": '{"active":true,"sub":"ada","uid":9007199254740993}' }));
  const section = { ...introspection(), issuer: undefined, url: `${url}/introspect` };
  const { ask } = providers({ ...section, claims_to_metadata: { uid: "x-uid" } });
  assert.deepEqual((await ask(bearer("x"))).metadata, [["x-uid", "9007199254740993"]]);
});

test("mistakes in where an issuer is are errors of the check", () => {
  const problems = (section: object): string[] =>
    workspace
      .problems(
        `listeners: { http: { address: ":0" } }\nauth: { providers: { u: ${JSON.stringify(section)} } }`,
      )
      .map(String);
  const found = (section: object): string => problems(section).join("\n");
  assert.match(found({ type: "jwt" }), /expected one of jwks, public_key, secret or issuer, found none/);
  assert.match(
    found({ type: "jwt", issuer: "acme" }),
    /the keys cannot be found by this issuer; expected its http or https URL/,
  );
  assert.match(
    found({ type: "jwt", issuer: ["https://a.example", "https://b.example"] }),
    /cannot be found by this issuer/,
  );
  assert.match(
    found({ type: "jwt", secret: "x".repeat(32) }),
    /"algorithms" is missing; expected HS256, HS384 or HS512/,
  );
  const base = { type: "introspection", client_id: "a", client_secret: "b" };
  assert.match(found(base), /expected "url" or "issuer", found neither/);
  assert.match(
    found({ ...base, url: "https://u:p@a.example" }),
    /expected a URL without user name and password/,
  );
  assert.match(found({ ...base, url: "a.example" }), /expected a URL with http or https/);
});
