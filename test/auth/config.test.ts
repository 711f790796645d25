import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { checkProviders } from "../../src/auth/authenticators.js";
import { methodPolicy } from "../../src/bindings/policy.js";
import { passedHeaders } from "../../src/bindings/service-check.js";
import type { ServiceConfig } from "../../src/bindings/service-config.js";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import type { Model } from "../../src/descriptors/model.js";
import type { UpstreamConfig } from "../../src/upstream/config.js";
import { Workspace } from "../config/workspace.js";

const pem = (key: { export(options: { type: "spki"; format: "pem" }): string | Buffer }): string =>
  String(key.export({ type: "spki", format: "pem" }));
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });

const workspace = new Workspace({
  "keys.yaml": "[]",
  "wrong.yaml": "- { hash: x }",
  "rsa.pem": pem(rsa.publicKey),
  "small.pem": pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey),
  "p256.pem": pem(p256.publicKey),
  "private.pem": String(p256.privateKey.export({ type: "pkcs8", format: "pem" })),
  "text.pem": "hello",
  "keys.json": '{"keys":[]}',
  "list.json": "[]",
  "cert.pem": "",
});

const listener = 'listeners: { http: { address: ":0" } }\n';
const upstream = 'upstreams: { chat: { targets: ["a:1"] } }\n';
const auth = (providers: string): string => `${listener}auth: { providers: { ${providers} } }\n`;

/** The messages of loading, without their places. */
const problems = (yaml: string): string[] =>
  workspace.problems(yaml).map(each => each.replace(/^gateway\.yaml:\d+:\d+: error: /, ""));

test("mistakes in providers are errors with the nearest name", () => {
  const place = "(at auth.providers.u";
  const cases: [providers: string, ...said: string[]][] = [
    [
      "u: { tpye: jwt }",
      `missing key "type"; expected jwt, introspection, api_key, rpc, mtls, forward_auth, ext_authz or oidc_login ${place})`,
    ],
    [
      "u: { type: jtw }",
      `expected jwt, introspection, api_key, rpc, mtls, forward_auth, ext_authz or oidc_login, found "jtw" ${place}.type); did you mean "jwt"?`,
    ],
    [
      "u: { type: [jwt] }",
      `expected jwt, introspection, api_key, rpc, mtls, forward_auth, ext_authz or oidc_login, found no word ${place}.type)`,
    ],
    ["u: jwt", `expected a mapping, found "jwt" ${place})`],
    [
      "none: { type: mtls }",
      '"none" cannot be a name here; expected letters, digits, _, - and ., a letter or digit first, at most 63 characters, and not none (at auth.providers.none)',
    ],
    [
      "u: { type: jwt, secret: s }",
      `"algorithms" is missing; expected HS256, HS384 or HS512 with "secret" ${place})`,
    ],
    ["u: { type: jwt, secret: s, algorithms: [] }", `expected at least 1 item, found 0 ${place}.algorithms)`],
    [
      "u: { type: jwt, secret: s, algorithms: [none] }",
      `expected RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519, HS256, HS384 or HS512, found "none" ${place}.algorithms[0])`,
    ],
    [
      "u: { type: jwt, algorithms: [RS256] }",
      `expected one of jwks, public_key, secret or issuer, found none ${place})`,
    ],
    [
      "u: { type: jwt, secret: s, jwks: keys.json, algorithms: [HS256] }",
      `expected at most one of jwks, public_key or secret, found jwks and secret ${place})`,
    ],
    [
      "u: { type: jwt, public_key: rsa.pem, algorithms: [RS256, HS256] }",
      `HS256 is for a shared secret; anybody who knows the public key could sign ${place}.algorithms[1])`,
    ],
    [
      'u: { type: jwt, jwks: "https://a.example/k", algorithms: [HS512] }',
      `HS512 is for a shared secret; anybody who knows the public key could sign ${place}.algorithms[0])`,
    ],
    [
      "u: { type: jwt, secret: s, algorithms: [RS256] }",
      `RS256 is for public keys; expected HS256, HS384 or HS512 with "secret" ${place}.algorithms[0])`,
    ],
    [
      'u: { type: jwt, jwks: "ftp://a.example/k", algorithms: [RS256] }',
      `expected the path of a file, or a URL with http or https, found "ftp://a.example/k" ${place}.jwks)`,
    ],
    [
      'u: { type: jwt, jwks: "https://u:p@a.example/k", algorithms: [RS256] }',
      `a URL of keys carries no user name or password ${place}.jwks)`,
    ],
    [
      "u: { type: jwt, jwks: no.json, algorithms: [RS256] }",
      `expected a file, but "no.json" does not exist ${place}.jwks)`,
    ],
    [
      "u: { type: jwt, jwks: id.example.com/jwks.json, algorithms: [RS256] }",
      `expected a file, but "id.example.com/jwks.json" does not exist ${place}.jwks); did you mean "https://id.example.com/jwks.json"?`,
    ],
    [
      "u: { type: jwt, jwks: id.example.com:8443/a/keys, algorithms: [RS256] }",
      `expected a file, but "id.example.com:8443/a/keys" does not exist ${place}.jwks); did you mean "https://id.example.com:8443/a/keys"?`,
    ],
    [
      "u: { type: jwt, jwks: ./conf.d/no.json, algorithms: [RS256] }",
      `expected a file, but "conf.d/no.json" does not exist ${place}.jwks)`,
    ],
    [
      "u: { type: jwt, public_key: no.pem, algorithms: [RS256] }",
      `expected a file, but "no.pem" does not exist ${place}.public_key)`,
    ],
    [
      "u: { type: jwt, secret: s, algorithms: [HS256], issuer: [] }",
      `expected at least 1 item, found 0 ${place}.issuer)`,
    ],
    [
      "u: { type: jwt, secret: s, algorithms: [HS256], cookie: a, scheme: Bearer }",
      `a scheme belongs to a header; add the header ${place}.scheme)`,
    ],
    [
      "u: { type: jwt, secret: s, algorithms: [HS256], cookie: 'a b' }",
      `expected a name of letters, digits and !#$%&'*+.^_\`|~-, found "a b" ${place}.cookie)`,
    ],
    [
      "u: { type: jwt, secret: s, algorithms: [HS256], claims_to_metadata: { sub: Host, a: grpc-x, b: x-bin, c: x-request-id, d: x-forwarded-for, e: 'x y', f: x-f, g: X-F } }",
      `"host" cannot carry a claim; the gateway and gRPC write it themselves ${place}.claims_to_metadata.sub)`,
      `"grpc-x" cannot carry a claim; the gateway and gRPC write it themselves ${place}.claims_to_metadata.a)`,
      `"x-bin" cannot carry a claim; the gateway and gRPC write it themselves ${place}.claims_to_metadata.b)`,
      `"x-request-id" cannot carry a claim; the gateway and gRPC write it themselves ${place}.claims_to_metadata.c)`,
      `"x-forwarded-for" cannot carry a claim; the gateway and gRPC write it themselves ${place}.claims_to_metadata.d)`,
      `expected a header name of letters, digits, -, _ and ., found "x y" ${place}.claims_to_metadata.e)`,
      `"x-f" carries another claim already ${place}.claims_to_metadata.g)`,
    ],
    ["u: { type: api_key, keys: no.yaml }", `expected a file, but "no.yaml" does not exist ${place}.keys)`],
    [
      "u: { type: rpc, upstream: chat, method: a.B/C, token_field: t }",
      `there is no upstream "chat"; none is declared ${place}.upstream)`,
    ],
    ["u: { type: mtls }", `client certificates need listeners.http.tls.client_ca; it is missing ${place})`],
  ];
  for (const [providers, ...said] of cases) assert.deepEqual(problems(auth(providers)), said, providers);
});

test("unknown provider names are errors wherever they are used", () => {
  const keys = "providers: { users: { type: api_key, keys: keys.yaml } }";
  const service = (more: string): string =>
    `${listener}${upstream}auth: { ${keys} }\nservices: [{ service: a.B, upstream: chat, ${more} }]\n`;
  assert.deepEqual(problems(`${listener}auth: { default: [users, user], ${keys} }`), [
    'there is no provider "user" (at auth.default[1]); did you mean "users"?',
  ]);
  assert.deepEqual(problems(`${listener}auth: { default: partners }`), [
    'there is no provider "partners"; none is declared (at auth.default)',
  ]);
  assert.deepEqual(problems(service("auth: [partners]")), [
    'there is no provider "partners"; declared are users (at services[0].auth[0])',
  ]);
  assert.deepEqual(problems(service("methods: { C: { auth: usres } }")), [
    'there is no provider "usres" (at services[0].methods.C.auth); did you mean "users"?',
  ]);
  assert.deepEqual(problems(service("auth: [none]")), [
    '"none" cannot be combined; expected "none" without a list, or names of providers (at services[0].auth[0])',
  ]);
  assert.deepEqual(problems(service("auth: [users, users]")), [
    '"users" is listed twice (at services[0].auth[1])',
  ]);
  assert.deepEqual(problems(service("auth: []")), [
    "expected at least 1 item, found 0 (at services[0].auth)",
  ]);
  assert.deepEqual(problems(service("auth: { a: b }")), [
    "expected a string that is not empty or a list, found a mapping (at services[0].auth)",
  ]);
});

test("metadata of a claim may not come from the client as well", () => {
  const yaml = `${listener}${upstream}
auth: { providers: { u: { type: jwt, secret: s, algorithms: [HS256], claims_to_metadata: { sub: x-user, org: x-org } } } }
services:
  - { service: a.B, upstream: chat, metadata: { request: [X-User] }, methods: { C: { metadata: { request: [x-org] } } } }
`;
  const forged = "which could then forge the claim (at auth.providers.u.claims_to_metadata";
  assert.deepEqual(problems(yaml), [
    `"x-user" is also passed from the client by services[0].metadata.request, ${forged}.sub)`,
    `"x-org" is also passed from the client by services[0].methods.C.metadata.request, ${forged}.org)`,
  ]);
});

test("HTTP/2 needs the engine that speaks it, and may be turned off with either", () => {
  const listener = (more: string): string => `listeners: { http: { address: ":0", ${more} } }\n`;
  assert.deepEqual(problems(listener("engine: uws, http2: true")), [
    "HTTP/2 needs the engine fastify; uws speaks HTTP/1.1 alone (at listeners.http.http2)",
  ]);
  for (const more of ["engine: uws, http2: false", "http2: true", "http2: false"])
    assert.deepEqual(problems(listener(more)), []);
});

test("client certificates need authorities and the engine that knows them", () => {
  const tls = (more: string): string =>
    `listeners: { http: { address: ":0", ${more} } }\nauth: { providers: { s: { type: mtls } } }\n`;
  const files = "cert: cert.pem, key: cert.pem";
  assert.deepEqual(problems(tls(`tls: { ${files}, client_ca: cert.pem, client_auth: require }`)), []);
  assert.deepEqual(problems(tls(`tls: { ${files}, client_ca: no.pem }`)), [
    'expected a file, but "no.pem" does not exist (at listeners.http.tls.client_ca)',
  ]);
  assert.deepEqual(problems(tls(`engine: uws, tls: { ${files}, client_ca: cert.pem }`)), [
    "client certificates need the engine fastify; uws does not give access to the client's certificate (at listeners.http.tls.client_ca)",
  ]);
  assert.deepEqual(
    problems(tls(`tls: { ${files}, client_auth: require }`)),
    [
      "client certificates need listeners.http.tls.client_ca; it is missing (at auth.providers.s)",
      '"client_auth" without "client_ca"; expected the authorities that may certify clients (at listeners.http.tls.client_auth)',
    ].toReversed(),
  );
});

test("keys that do not fit their algorithms, and files without keys, are said at load", () => {
  const checked = (provider: string): string[] => {
    const { config, locate } = workspace.load(auth(`u: { ${provider} }`));
    assert.ok(config !== undefined, provider);
    return checkProviders(
      config,
      { model: undefined as unknown as Model, passedHeaders: passedHeaders(config) },
      locate,
    ).map(each =>
      formatDiagnostic(each)
        .replaceAll(`${workspace.folder}/`, "")
        .replace(/^(gateway|wrong)\.yaml:\d+:\d+: error: /, ""),
    );
  };
  const at = "(at auth.providers.u.public_key)";
  assert.deepEqual(checked("type: jwt, public_key: rsa.pem, algorithms: [RS256, PS512]"), []);
  assert.deepEqual(checked("type: jwt, public_key: rsa.pem, algorithms: [ES256]"), [
    `ES256 cannot use this key, which is RSA with 2048 bits ${at}`,
  ]);
  assert.deepEqual(checked("type: jwt, public_key: small.pem, algorithms: [RS256]"), [
    `RS256 cannot use this key, which is RSA with 1024 bits; at least 2048 are needed ${at}`,
  ]);
  assert.deepEqual(checked("type: jwt, public_key: p256.pem, algorithms: [ES256, ES384]"), [
    `ES384 cannot use this key, which is of the curve prime256v1 ${at}`,
  ]);
  assert.deepEqual(checked("type: jwt, public_key: private.pem, algorithms: [ES256]"), [
    `"private.pem" holds a private key; expected the public one, which is all that is needed here ${at}`,
  ]);
  assert.deepEqual(checked("type: jwt, public_key: text.pem, algorithms: [ES256]"), [
    `"text.pem" is not a PEM public key or certificate ${at}`,
  ]);
  assert.deepEqual(checked('type: jwt, public_key: "-----BEGIN PUBLIC KEY-----", algorithms: [ES256]'), [
    `the text is not a PEM public key or certificate ${at}`,
  ]);
  assert.deepEqual(checked("type: jwt, jwks: keys.json, algorithms: [ES256]"), []);
  assert.deepEqual(checked("type: jwt, jwks: list.json, algorithms: [ES256]"), [
    '"list.json" is no JWK set: expected an object with "keys" (at auth.providers.u.jwks)',
  ]);
  assert.match(checked("type: api_key, keys: wrong.yaml").join(), /expected a hash/);
});

test("a method's auth comes before its service's, and that before the default; query tokens are no fields", () => {
  const config = workspace.config(`${listener}${upstream}
auth:
  default: users
  providers:
    users: { type: api_key, keys: keys.yaml, query: key }
    partners: { type: api_key, keys: keys.yaml, query: partner }
services:
  - { service: a.A, upstream: chat, query: { ignore: [x] }, methods: { Open: { auth: none } } }
  - { service: a.B, upstream: chat, auth: [partners, users], methods: { One: { auth: users } } }
`);
  const policy = (index: number, name: string) => {
    const { auth, query } = methodPolicy(
      config,
      config.services[index] as ServiceConfig,
      config.upstreams.chat as UpstreamConfig,
      name,
    );
    return [auth, query.ignore];
  };
  assert.deepEqual(policy(0, "Get"), [["users"], ["x", "key"]]);
  assert.deepEqual(policy(0, "Open"), ["none", ["x"]]);
  assert.deepEqual(policy(1, "Get"), [
    ["partners", "users"],
    ["partner", "key"],
  ]);
  assert.deepEqual(policy(1, "One"), [["users"], ["key"]]);
});
