import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "../../config/workspace.js";

const workspace = new Workspace();
const secret = "a secret of the cookies, long enough";

/** The problems of a provider, without the place of the provider. */
function problems(changes: object): readonly string[] {
  const provider = {
    type: "oidc_login",
    issuer: "https://id.example.com",
    client_id: "shop",
    client_secret: "the secret of the client",
    public_url: "https://shop.example.com",
    secrets: [secret],
    ...changes,
  };
  const yaml = `listeners: { http: { address: ":0" } }\nauth: { providers: { web: ${JSON.stringify(provider)} } }`;
  return workspace
    .problems(yaml)
    .map(each => each.replace(/^gateway\.yaml:\d+:\d+: /, "").replace("auth.providers.web.", ""));
}

const cases: readonly [what: string, changes: object, message: string | undefined][] = [
  ["all that is needed", {}, undefined],
  ["http on this machine itself", { public_url: "http://localhost:8080" }, undefined],
  ["a public client", { client_secret: undefined }, undefined],
  ["a domain that the host is below", { cookie: { domain: "example.com" } }, undefined],
  ["a session of 30 days", { cookie: { ttl: "720h", idle: "24h" } }, undefined],
  [
    "a short secret",
    { secrets: [secret, "short"] },
    "error: the secret has 5 characters; expected at least 32, such as those of openssl rand -base64 32 (at secrets[1])",
  ],
  ["no secret", { secrets: [] }, "error: expected at least 1 item, found 0 (at secrets)"],
  [
    "a public URL with a path",
    { public_url: "https://shop.example.com/app" },
    "error: expected scheme, host and port alone, such as https://shop.example.com (at public_url)",
  ],
  [
    "plain http for others",
    { public_url: "http://shop.example.com" },
    "error: browsers would send the session without TLS; expected an https URL (at public_url)",
  ],
  [
    "same_site: none without TLS",
    { public_url: "http://localhost:8080", cookie: { same_site: "none" } },
    "error: browsers take same_site: none only with an https public_url (at cookie.same_site)",
  ],
  [
    "a domain of others",
    { cookie: { domain: "ample.com" } },
    "error: browsers refuse it, as shop.example.com of public_url is not below it (at cookie.domain)",
  ],
  [
    "scopes without openid",
    { requested_scopes: ["email"] },
    "error: expected openid among the scopes: without it there is no ID token (at requested_scopes)",
  ],
  [
    "a parameter of the gateway's own",
    { authorization_parameters: { state: "a" } },
    "error: the gateway sets this parameter itself (at authorization_parameters.state)",
  ],
  [
    "two equal paths",
    { paths: { login: "/auth", logout: "/auth" } },
    "error: another path of the login is the same (at paths.logout)",
  ],
  [
    "a home on another host",
    { paths: { home: "//evil.example" } },
    `error: expected a path such as /chat, without "/" at its end and without variables; "/" or "" for the root, found "//evil.example" (at paths.home)`,
  ],
  [
    "an issuer without TLS",
    { issuer: "http://id.example.com" },
    "warning: codes and tokens are sent without TLS; expected an https URL (at issuer)",
  ],
];

for (const [what, changes, message] of cases)
  test(`a login with ${what} ${message === undefined ? "is accepted" : "is reported at its place"}`, () => {
    assert.deepEqual(problems(changes), message === undefined ? [] : [message]);
  });

test("secrets of a login are shown in no message", () => {
  const text = problems({ secrets: ["short-secret"], client_secret: "" }).join("\n");
  assert.match(text, /secrets\[0\]/);
  assert.doesNotMatch(text, /short-secret/);
});
