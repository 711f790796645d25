import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import { forged, inAnHour, signer, signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { echo, send, startBackend, startTestGateway } from "./harness.js";

const secret = "0123456789abcdef0123456789abcdef";
const issuer = await signer("k1", "ES256");
const stranger = await signer("k1", "ES256");

const proto = `
syntax = "proto3";
package vault.v1;
import "google/api/annotations.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/wrappers.proto";

service Vault {
  rpc Get(Secret) returns (Secret) {
    option (google.api.http) = { get: "/v1/users/{user_id}/secrets/{name=**}"
      additional_bindings { post: "/v1/secrets" body: "*" }
      additional_bindings { patch: "/v1/owners/{owner.id}" body: "owner" }
      additional_bindings { custom: { kind: "*" path: "/v1/any/{user_id}" } }
      additional_bindings { post: "/v1/users/{user_id}:open" } };
  }
  rpc Number(Secret) returns (Secret) { option (google.api.http) = { post: "/v1/numbers" body: "*" }; }
  rpc Org(Secret) returns (Secret) { option (google.api.http) = { post: "/v1/orgs" body: "*" additional_bindings { get: "/v1/orgs" } }; }
  rpc Kind(Secret) returns (Secret) { option (google.api.http) = { post: "/v1/kinds" body: "*" additional_bindings { get: "/v1/kinds" } }; }
  rpc Wrapped(Secret) returns (Secret) { option (google.api.http) = { post: "/v1/wrapped" body: "*" additional_bindings { get: "/v1/wrapped" } }; }
  rpc One(Secret) returns (Secret) { option (google.api.http) = { post: "/v1/ones" body: "*" additional_bindings { get: "/v1/ones" } }; }
  rpc Patch(Change) returns (Change) { option (google.api.http) = { patch: "/v1/secrets/{secret.user_id}" body: "secret" }; }
  rpc Either(Secret) returns (Secret) { option (google.api.http) = { get: "/v1/either" }; }
  rpc Open(Secret) returns (Secret) { option (google.api.http) = { get: "/v1/open" }; }
}
message Secret {
  string user_id = 1;
  string name = 2;
  Owner owner = 3;
  int64 number = 4;
  repeated string orgs = 5;
  Kind kind = 6;
  google.protobuf.StringValue wrapped = 7;
  oneof one { string left = 8; string right = 9; }
}
message Owner { string id = 1; string note = 2; }
message Change { Secret secret = 1; google.protobuf.FieldMask update_mask = 2; }
enum Kind { OPEN = 0; CLOSED = 1; }
`;
const methods = ["Get", "Number", "Org", "Kind", "Wrapped", "One", "Patch", "Either", "Open"];

describe(`guards under attack (${engineUnderTest()})`, async () => {
  const backend = await startBackend(
    Object.fromEntries(methods.map(name => [`/vault.v1.Vault/${name}`, echo])),
  );
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { vault: { targets: ["127.0.0.1:${backend.port}"] } }
services:
  - service: vault.v1.Vault
    upstream: vault
    bindings: [annotations, auto]
    auth: users
    metadata: { request: [x-mine] }
    methods: { Either: { auth: places }, Open: { auth: none } }
http: { cors: { origins: ["https://app.example"], credentials: true } }
auth:
  providers:
    users:
      type: jwt
      public_key: ${JSON.stringify(issuer.pem)}
      algorithms: [ES256]
      issuer: https://id.example
      audience: api
      claims_to_metadata: { sub: x-user-id, org: x-org }
    places: { type: jwt, secret: "${secret}", algorithms: [HS256], header: token, cookie: session, query: access_token }
  policies:
    - { name: own, match: { rpc: vault.v1.Vault/Get }, require: { rule: "claim.sub == request.user_id || claim.sub == request.owner.id" } }
    - { match: { rpc: vault.v1.Vault/Number }, require: { rule: "request.number == claim.number" } }
    - { match: { rpc: vault.v1.Vault/Org }, require: { rule: "claim.org in request.orgs && !('root' in request.orgs)" } }
    - { match: { rpc: vault.v1.Vault/Kind }, require: { rule: "request.kind != 'CLOSED'" } }
    - { match: { rpc: vault.v1.Vault/Wrapped }, require: { rule: "request.wrapped.value == claim.sub" } }
    - { match: { rpc: vault.v1.Vault/One }, require: { rule: "has(request.left) && request.left == claim.sub" } }
    - { match: { rpc: vault.v1.Vault/Patch }, require: { rule: "request.secret.user_id == claim.sub && !('name' in request.update_mask.paths)" } }
`,
    { "protos/vault.proto": proto },
  );
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  const good = { iss: "https://id.example", aud: "api", sub: "jdoe", number: 7, org: "acme" };
  const token = await issuer.sign(good);
  const path = "/v1/users/jdoe/secrets/a";

  /** Sends lines as they are over a connection of their own; resolves with the reply, as text. */
  async function raw(first: string, lines: readonly string[], body = ""): Promise<string> {
    const head = [`${first} HTTP/1.1`, "host: a", "connection: close", ...lines].join("\r\n");
    const bytes = Buffer.from(body).toString("latin1");
    return (await converse(gateway.httpPort, [`${head}\r\n\r\n${bytes}`], 1, true)).text;
  }
  const status = (text: string): number => Number(statusesOf(text)[0]);
  const bearer = `authorization: Bearer ${token}`;

  async function post(target: string, body: string, ...lines: string[]): Promise<number> {
    const all = [
      bearer,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
      ...lines,
    ];
    return status(await raw(`POST ${target}`, all, body));
  }

  /** Sees that nothing of what `attack` sends reaches the backend. */
  async function nothingArrives(attack: () => Promise<unknown>): Promise<void> {
    const before = backend.calls.length;
    await attack();
    assert.deepEqual(
      backend.calls.slice(before).map(call => call.path),
      [],
    );
  }

  test("a good token passes, and the backend gets the subject of the caller", async () => {
    assert.equal(status(await raw(`GET ${path}`, [bearer])), 200);
    assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-user-id"), ["jdoe"]);
    assert.deepEqual(backend.calls.at(-1)?.metadata.get("authorization"), []);
  });

  test("a provider of tokens rejects every other token without saying why", async () => {
    const now = Math.floor(Date.now() / 1000);
    const hmac = (header: object, key: string): string => {
      const unsigned = forged(header, { ...good, exp: inAnHour() }).slice(0, -1);
      return `${unsigned}.${createHmac("sha256", key).update(unsigned).digest("base64url")}`;
    };
    const [head = "", payload = "", signature = ""] = token.split(".");
    const root = Buffer.from(JSON.stringify({ ...good, sub: "root", exp: inAnHour() })).toString("base64url");
    const bad: Record<string, string> = {
      "no algorithm": forged({ alg: "none" }, good),
      "no algorithm, in capitals": forged({ alg: "NONE" }, good),
      "no algorithm, with a signature": forged({ alg: "nOnE" }, good, signature),
      "an empty header": forged({}, good, signature),
      "the public key as a secret": hmac({ alg: "HS256", typ: "JWT" }, issuer.pem),
      "the public key as a secret, trimmed": hmac({ alg: "HS256", kid: "k1" }, issuer.pem.trim()),
      "another claim under the same signature": `${head}.${root}.${signature}`,
      "another key of the same name": await stranger.sign(good),
      "a key in the token": await stranger.sign(good, { jwk: stranger.jwk }),
      "a key elsewhere": await stranger.sign(good, {
        jku: "http://127.0.0.1:1/jwks.json",
        x5u: "http://127.0.0.1:1/",
      }),
      "a name of a key that is a path": await stranger.sign(good, { kid: "../../../dev/null" }),
      "an extension that nobody knows": await issuer
        .sign(good, { crit: ["x"], x: 1 })
        .catch(() => forged({ alg: "ES256", crit: ["x"], x: 1 }, good, signature)),
      "another issuer": await issuer.sign({ ...good, iss: "https://evil.example" }),
      "an issuer with a slash more": await issuer.sign({ ...good, iss: "https://id.example/" }),
      "no issuer": await issuer.sign({ ...good, iss: undefined } as never),
      "another audience": await issuer.sign({ ...good, aud: "other" }),
      "no audience": await issuer.sign({ ...good, aud: undefined } as never),
      "its time over": await issuer.sign({ ...good, exp: now - 60 }),
      "its time to come": await issuer.sign({ ...good, nbf: now + 600 }),
      "no end": await issuer.sign({ ...good, exp: undefined } as never),
      "an end that is a text": await issuer
        .sign({ ...good, exp: String(inAnHour()) } as never)
        .catch(() => "x.y.z"),
      "no subject": await issuer.sign({ ...good, sub: undefined } as never),
      "an empty subject": await issuer.sign({ ...good, sub: "" }),
      "a subject that is a list": await issuer.sign({ ...good, sub: ["jdoe"] } as never).catch(() => "x.y.z"),
      "a payload that is no object": forged({ alg: "ES256" }, "[]", signature),
      "five parts": "a.b.c.d.e",
      "two parts": `${head}.${payload}`,
      "four parts": `${token}.${signature}`,
      "a dot more": `${token}.`,
      padding: `${token}=`,
      "no letters": "...",
      "8 KiB": `${head}.${"A".repeat(8192)}.${signature}`,
      "letters of base64 in place of base64url": `${token.slice(0, -2)}+/`,
    };
    await nothingArrives(async () => {
      for (const [what, each] of Object.entries(bad)) {
        const text = await raw(`GET ${path}`, [
          `authorization: Bearer ${each}`,
          "origin: https://app.example",
        ]);
        assert.equal(status(text), 401, `${what}: ${text}`);
        assert.match(text, /^www-authenticate: Bearer realm="protogate", error="invalid_token"\r$/im, what);
        assert.match(text, /^access-control-allow-origin: https:\/\/app\.example\r$/im, what);
        assert.match(text, /"reason":"(CREDENTIALS_INVALID|TOKEN_[A-Z_]+)"/, what);
        if (each.length > 20) assert.ok(!text.includes(each.slice(-12)), what);
        assert.doesNotMatch(text, /issuer|audience|evil|signature|kid|jwk/i, what);
      }
    });
  });

  test("credentials are read only from where they belong, once", async () => {
    const cases: [string, readonly string[], number][] = [
      ["none", [], 401],
      ["in any case", [`AUTHORIZATION: bEaReR ${token}`], 200],
      ["with more spaces", [`authorization:    Bearer    ${token}   `], 200],
      ["a tab", [`authorization: Bearer\t${token}`], 401],
      ["without the scheme", [`authorization: ${token}`], 401],
      ["glued to the scheme", [`authorization: Bearer${token}`], 401],
      ["another scheme", [`authorization: Basic ${token}`], 401],
      ["the same twice", [bearer, bearer], 401],
      ["a good one, a bad one", [bearer, "authorization: Bearer x"], 401],
      ["a bad one, a good one", ["authorization: Bearer x", bearer], 401],
      ["a good one and another scheme", [bearer, "authorization: Basic eDp5"], 401],
      ["another scheme and a good one", ["authorization: Basic eDp5", bearer], 401],
      ["in one line", [`authorization: Bearer ${token}, Bearer ${token}`], 401],
      ["in one line with parameters", [`authorization: Bearer ${token}, realm="x"`], 401],
      ["in a proxy's header", [`proxy-authorization: Bearer ${token}`], 401],
      ["in a cookie", [`cookie: authorization=Bearer ${token}`], 401],
      ["in a subprotocol without an upgrade", [`sec-websocket-protocol: bearer, ${token}`], 401],
      ["in an underscored header", [`Authorization_: Bearer ${token}`], 401],
    ];
    for (const [what, lines, expected] of cases) {
      const text = await raw(`GET ${path}`, lines);
      assert.equal(status(text), expected, `${what}: ${text}`);
    }
    for (const [what, target] of [
      ["in the query", `${path}?authorization=Bearer%20${token}`],
      ["as a parameter of RFC 6750", `${path}?access_token=${token}`],
    ] as const) {
      assert.equal(status(await raw(`GET ${target}`, [])), 401, what);
    }
  });

  test("malformed header lines do not authenticate", async () => {
    await nothingArrives(async () => {
      for (const line of [
        `authorization : Bearer ${token}`,
        `x: y\r\n authorization: Bearer ${token}`,
        `x: y\nauthorization: Bearer ${token}\n`,
        `authorization:\0Bearer ${token}`,
        `authorization: Bearer ${token}\0`,
        `authorization: Bearer\x0b${token}`,
        `x: y\rauthorization: Bearer ${token}`,
      ]) {
        let text = "";
        const socket = connect(gateway.httpPort, "127.0.0.1");
        socket.setEncoding("latin1").on("data", chunk => {
          text += chunk;
        });
        socket.on("error", () => undefined);
        socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n${line}\r\n\r\n`, "latin1");
        await once(socket, "connect");
        // An engine may leave such a request without an answer: others are answered meanwhile.
        for (let turn = 0; turn < 3; turn++) await raw("GET /v1/nowhere", []);
        socket.destroy();
        assert.ok(text === "" || [400, 401].includes(status(text)), `${JSON.stringify(line)}: ${text}`);
      }
    });
  });

  test("a token in two locations is refused, though each is good", async () => {
    const mine = await signShared(secret);
    const places = [`token: ${mine}`, `cookie: session=${mine}`];
    const inQuery = `/v1/either?access_token=${mine}`;
    for (const line of places) assert.equal(status(await raw("GET /v1/either", [line])), 200);
    await nothingArrives(async () => {
      for (const [target, lines] of [
        ["/v1/either", places],
        [inQuery, places.slice(0, 1)],
        [inQuery, places.slice(1)],
        ["/v1/either", [`token: ${mine}`, `token: ${mine}`]],
        ["/v1/either", [`cookie: session=${mine}; session=${mine}`]],
        ["/v1/either", [`cookie: session=${mine}`, `cookie: session=x`]],
        [`${inQuery}&access_token=x`, []],
        [`${inQuery}&acces%73_token=x`, []],
      ] as const) {
        assert.equal(status(await raw(`GET ${target}`, lines)), 401, target);
      }
    });
  });

  test("requests of one connection do not share credentials", async () => {
    const request = (...lines: string[]): string =>
      [`GET ${path} HTTP/1.1`, "host: a", ...lines, "\r\n"].join("\r\n");
    const requests = [
      request(bearer),
      request(),
      request(bearer),
      request("authorization: Bearer x"),
      request(),
    ];
    const { text } = await converse(gateway.httpPort, requests, 5, false);
    assert.deepEqual(statusesOf(text), ["200", "401", "200", "401", "401"]);
  });

  test("a client cannot send metadata that claims set", async () => {
    const bare = await issuer.sign({ ...good, org: undefined } as never);
    const spoofs = [
      "x-user-id: root",
      "X-User-ID: root",
      "x-org: root",
      "X_Org: root",
      "x-user-id-bin: cm9vdA==",
    ];
    const text = await raw(`GET ${path}`, [`authorization: Bearer ${bare}`, "x-mine: 1", ...spoofs]);
    assert.equal(status(text), 200);
    const told = backend.calls.at(-1)?.metadata.getMap() ?? {};
    assert.equal(told["x-user-id"], "jdoe");
    assert.equal(told["x-mine"], "1");
    assert.doesNotMatch(JSON.stringify(told), /root/);
    assert.equal(status(await raw("GET /v1/open", spoofs)), 200);
    assert.doesNotMatch(JSON.stringify(backend.calls.at(-1)?.metadata.getMap()), /root/);
  });

  test("a service that forwards a name that claims set is a load error", async () => {
    for (const service of [
      "metadata: { request: [x-user-id] }",
      "metadata: { request: [X-User-Id] }",
      "methods: { Get: { metadata: { request: [X-USER-ID] } } }",
    ]) {
      await assert.rejects(
        startTestGateway(
          `
descriptors: [{ protos: ./protos }]
upstreams: { vault: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: vault.v1.Vault, upstream: vault, auth: users, ${service} }]
auth: { providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { sub: x-user-id } } } }
`,
          { "protos/vault.proto": proto },
        ),
        /could then forge the claim/,
        service,
      );
    }
  });

  test("a policy on a field holds for every method, binding and spelling of the path", async () => {
    for (const [method, target] of [
      ["GET", "/v1/users/jdoe/secrets/a"],
      ["HEAD", "/v1/users/jdoe/secrets/a/b"],
      ["GET", "/v1/users/%6adoe/secrets/a"],
      ["POST", "/v1/users/jdoe:open"],
      ["DELETE", "/v1/any/jdoe"],
      ["BREW", "/v1/any/jdoe"],
    ] as const) {
      assert.ok([200, 400, 501].includes(status(await raw(`${method} ${target}`, [bearer]))), target);
    }
    await nothingArrives(async () => {
      for (const [method, target, expected] of [
        ["GET", "/v1/users/root/secrets/a", 403],
        ["HEAD", "/v1/users/root/secrets/a", 403],
        ["GET", "/v1/users/%72oot/secrets/a", 403],
        ["GET", "/v1/users/jdoe%2Froot/secrets/a", 403],
        ["GET", "/v1/users/jdoe%00/secrets/a", 403],
        ["GET", "/v1/users/jdoe%20/secrets/a", 403],
        ["GET", "/v1/users/JDOE/secrets/a", 403],
        ["GET", "/v1/users/root/secrets/jdoe", 403],
        ["GET", "/v1/users/root/secrets/", 403],
        ["GET", "/v1/users/root/secrets", 403],
        ["GET", "/v1/users/root/secrets/a?user_id=jdoe", 400],
        ["GET", "/v1/users/root/secrets/a?owner.id=jdoe&userId=root", 200],
        ["POST", "/v1/users/root:open", 403],
        ["POST", "/v1/users/jdoe:open:open", 403],
        ["POST", "/vault.v1.Vault/Get", 403],
        ["PUT", "/v1/any/root", 403],
        ["OPTIONS", "/v1/any/root", 403],
        ["HEAD", "/v1/any/root", 403],
        ["GET", "/v1/any/root?user_id=jdoe", 400],
        ["GET", "//v1/users/jdoe/secrets/a", 404],
        ["GET", "/v1//users/jdoe/secrets/a", 404],
        ["GET", "/v1/users;a=b/jdoe/secrets/a", 404],
        ["GET", "/V1/users/jdoe/secrets/a", 404],
        ["GET", "/v1/users/jdoe/../root/secrets/a", 400],
        ["GET", "/v1/users/%2e%2e/secrets/a", 400],
        ["GET", "/v1/users/jdoe/secrets/..%2f..%2froot", 400],
        ["GET", "/v1/users/%ff/secrets/a", 400],
        ["GET", "/v1/users/jdoe/secrets/%zz", 400],
      ] as const) {
        const text = await raw(`${method} ${target}`, [bearer]);
        // That one asks for what it may: the owner is the caller.
        if (expected === 200) backend.calls.pop();
        assert.equal(status(text), expected, `${method} ${target}: ${text}`);
      }
    });
    assert.equal(status(await raw("OPTIONS /v1/users/root/secrets/a", [])), 204);
  });

  test("body, query and path cannot disagree on a field that a policy reads", async () => {
    assert.equal(await post("/v1/secrets", '{"userId":"jdoe"}'), 200);
    assert.equal(await post("/v1/secrets", '{"user_id":"jdoe"}'), 200);
    assert.equal(await post("/v1/secrets", '{"user\\u0049d":"jdoe"}'), 200);
    await nothingArrives(async () => {
      for (const [target, body, expected] of [
        ["/v1/secrets", "{}", 403],
        ["/v1/secrets", "", 403],
        ["/v1/secrets", "null", 400],
        ["/v1/secrets", "[]", 400],
        ["/v1/secrets", '{"userId":null}', 403],
        ["/v1/secrets", '{"userId":""}', 403],
        ["/v1/secrets", '{"userId":"root"}', 403],
        ["/v1/secrets", '{"user\\u0049d":"root"}', 403],
        ["/v1/secrets", '{"userId":"jdoe","userId":"root"}', 400],
        ["/v1/secrets", '{"userId":"root","userId":"jdoe"}', 400],
        ["/v1/secrets", '{"userId":"jdoe","user_id":"root"}', 400],
        ["/v1/secrets", '{"userId":"jdoe","user\\u005fid":"root"}', 400],
        ["/v1/secrets", '{"userId":null,"user_id":"root"}', [400, 403]],
        ["/v1/secrets", '{"userId":"jdoe","user_id":null}', [200, 400]],
        ["/v1/secrets", '{"userId":["jdoe"]}', 400],
        ["/v1/secrets", '{"UserId":"jdoe"}', 400],
        ["/v1/secrets", '{"userId":"jdoe\\u0000"}', 403],
        ["/v1/secrets", '{"userId":"jd\\ud800oe"}', [400, 403]],
        ["/v1/secrets", '{"owner":{"id":"jdoe"},"owner":{"id":"root"}}', 400],
        ["/v1/secrets", '{"owner":{"id":"root"},"name":"jdoe"}', 403],
        ["/v1/secrets", '{"userId":"jdoe"}{"userId":"root"}', 400],
        ["/v1/secrets", '\ufeff{"userId":"root"}', [400, 403]],
        ["/v1/secrets?user_id=jdoe", '{"userId":"root"}', 400],
        ["/v1/secrets?user_id=root", '{"userId":"jdoe"}', 400],
        ["/v1/numbers", '{"number":"8"}', 403],
        ["/v1/numbers", '{"number":7.5}', 400],
        ["/v1/numbers", '{"number":"18446744073709551623"}', 400],
        ["/v1/numbers", '{"number":7,"number":8}', 400],
        ["/v1/orgs", '{"orgs":[]}', 403],
        ["/v1/orgs", '{"orgs":["other"]}', 403],
        ["/v1/orgs", '{"orgs":["acme","root"]}', 403],
        ["/v1/orgs", '{"orgs":["acme"],"orgs":["root"]}', 400],
        ["/v1/orgs", '{"orgs":["acme",null]}', 400],
        ["/v1/kinds", '{"kind":"CLOSED"}', 403],
        ["/v1/kinds", '{"kind":1}', 403],
        ["/v1/kinds", '{"kind":"closed"}', 400],
        ["/v1/wrapped", '{"wrapped":"root"}', 403],
        ["/v1/wrapped", '{"wrapped":null}', 403],
        ["/v1/ones", '{"right":"jdoe"}', 403],
        ["/v1/ones", '{"left":"jdoe","right":"root"}', 400],
        ["/v1/ones", '{"left":null,"right":"jdoe"}', 403],
      ] as const) {
        const found = await post(target, body);
        if (found === 200) backend.calls.pop();
        const fits =
          typeof expected === "number" ? found === expected : (expected as readonly number[]).includes(found);
        assert.ok(fits, `${target} ${body}: expected ${expected}, found ${found}`);
      }
      for (const [target, expected] of [
        ["/v1/orgs?orgs=acme&orgs=root", 403],
        ["/v1/orgs?orgs=acme,root", 403],
        ["/v1/kinds?kind=CLOSED", 403],
        ["/v1/kinds?kind=1", 403],
        ["/v1/kinds?kind=%31", 403],
        ["/v1/wrapped?wrapped=root", 403],
        ["/v1/ones?left=jdoe&right=root", 400],
        ["/v1/ones?right=root&left=jdoe", 400],
        ["/v1/any/jdoe?user%5Fid=root", 400],
        ["/v1/any/root?owner.id=jdoe&owner.id=root", 400],
      ] as const) {
        assert.equal(status(await raw(`GET ${target}`, [bearer])), expected, target);
      }
    });
    for (const [target, body] of [
      ["/v1/numbers", '{"number":"7"}'],
      ["/v1/numbers", '{"number":7}'],
      ["/v1/numbers", '{"number":7e0}'],
      ["/v1/orgs", '{"orgs":["acme","b"]}'],
      ["/v1/kinds", '{"kind":"OPEN"}'],
      ["/v1/wrapped", '{"wrapped":"jdoe"}'],
      ["/v1/ones", '{"left":"jdoe"}'],
    ] as const) {
      assert.equal(await post(target, body), 200, body);
    }
  });

  test("the backend reads the body that the policy allowed, chunked bodies included", async () => {
    const chunked = (...parts: string[]): string =>
      `${parts.map(part => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`;
    const lines = [bearer, "content-type: application/json", "transfer-encoding: chunked"];
    const mine = await raw("POST /v1/secrets", lines, chunked('{"user', 'Id":"jd', 'oe"}'));
    assert.equal(status(mine), 200);
    await nothingArrives(async () => {
      const theirs = await raw("POST /v1/secrets", lines, chunked('{"userId":"', "root", '"}'));
      assert.equal(status(theirs), 403, theirs);
      const both = await raw(
        "POST /v1/secrets",
        [...lines, "content-length: 17"],
        chunked('{"userId":"root"}'),
      );
      assert.equal(status(both), 400, both);
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
      ]) {
        const body = '{"userId":"root"}';
        const text = await raw(
          "POST /v1/secrets",
          [bearer, `content-type: ${type}`, `content-length: ${body.length}`],
          body,
        );
        assert.ok([403, 415].includes(status(text)), `${type}: ${text}`);
      }
      assert.equal(await post("/v1/secrets", '{"userId":"jdoe"}', "content-encoding: gzip"), 415);
    });
  });

  test("a PATCH is judged by what the backend gets, its mask included", async () => {
    const patch = async (target: string, body: string): Promise<number> => {
      const lines = [bearer, "content-type: application/json", `content-length: ${body.length}`];
      return status(await raw(`PATCH ${target}`, lines, body));
    };
    assert.equal(await patch("/v1/secrets/jdoe", '{"number":"1"}'), 200);
    assert.equal(await patch("/v1/owners/jdoe", '{"note":"x"}'), 200);
    await nothingArrives(async () => {
      for (const [target, body, expected] of [
        ["/v1/secrets/root", '{"number":"1"}', 403],
        ["/v1/secrets/jdoe", '{"userId":"root"}', 400],
        ["/v1/secrets/root", '{"userId":"jdoe"}', 400],
        ["/v1/secrets/jdoe", '{"name":"x"}', 403],
        ["/v1/secrets/jdoe?update_mask=name", '{"number":"1"}', 403],
        ["/v1/secrets/jdoe?updateMask=number,name", '{"number":"1"}', 403],
        ["/v1/secrets/jdoe?secret.user_id=root", '{"number":"1"}', 400],
        ["/v1/owners/root", '{"note":"x"}', 403],
        ["/v1/owners/root", '{"id":"jdoe"}', 400],
        ["/v1/owners/root?owner.id=jdoe", '{"note":"x"}', 400],
      ] as const) {
        assert.equal(await patch(target, body), expected, `${target} ${body}`);
      }
    });
  });

  test("a refusal reveals neither the policy nor whether something exists", async () => {
    for (const target of ["/v1/users/root/secrets/a", "/v1/users/nobody/secrets/a"]) {
      const answer = await send(`${gateway.url}${target}`, {
        headers: { authorization: `Bearer ${token}`, origin: "https://app.example" },
      });
      const { code, reason, message } = answer.json;
      assert.deepEqual(
        [answer.status, code, reason, message],
        [403, 7, "POLICY_DENIED", "a policy does not allow this request"],
      );
      assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example");
      assert.doesNotMatch(answer.text, /own|jdoe|claim/);
    }
  });
});
