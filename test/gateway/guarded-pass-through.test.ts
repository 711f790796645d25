import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { WebSocketServer } from "ws";
import { hashApiKey } from "../../src/auth/providers/api-key/key-file.js";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { converse, statusesOf } from "../server/raw-client.js";
import { startTestGateway } from "./harness.js";

const secret = "0123456789abcdef0123456789abcdef";
const key = "k-0123456789abcdef";

/** An HTTP backend that believes what it is told of its callers. */
const server = createServer((request, response) => {
  if (request.headers["x-paths"] !== undefined) {
    response.end(request.url);
    return;
  }
  response.setHeader("connection", "keep-alive, x-hop");
  response.setHeader("x-hop", "1");
  response.end(JSON.stringify(request.headers));
});
const sockets = new WebSocketServer({ server });
sockets.on("connection", socket => socket.close());
server.listen(0, "127.0.0.1");
await once(server, "listening");

const spellings = [
  ...["admin", "ADMIN", "%61dmin", "admin;x", "admin;x=%2F", "admin%2Fx", "admin%5Cx", "admin\\x", "\\admin"],
  ...[
    "%2Fadmin",
    "x%2Fadmin",
    "x%2F..%2Fadmin",
    "..%5Cadmin",
    "admin:v",
    "%2561dmin",
    "admin%252Fx",
    "admin%3Bx",
  ],
  ...[".", "..", "%2e", "%2E%2e", "%252e%252e", "..;", "..;x", ".;", "..\\", "..%5C", "", "x"],
];

/** A path as a backend may read it that decodes it so many times and resolves all that could be resolved. */
function tidied(path: string, times: number): string {
  let text = path;
  for (let time = 0; time < times; time++) text = decodeURIComponent(text);
  const segments: string[] = [];
  for (const part of text.replaceAll("\\", "/").toLowerCase().split("/")) {
    const segment = part.split(";")[0] ?? "";
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`.replace(/:[^/]*$/, "");
}

describe(`pass-through behind a guard (${engineUnderTest()})`, async () => {
  const sockets = engineUnderTest() === "fastify";
  const gateway = await startTestGateway(
    `
upstreams: { legacy: { protocol: http, targets: ["http://127.0.0.1:${(server.address() as AddressInfo).port}"] } }
http:
  proxy:
    - { prefix: /users, upstream: legacy, auth: users, websocket: ${sockets} }
    - { prefix: /web, upstream: legacy, auth: web, websocket: ${sockets} }
    - { prefix: /keys, upstream: legacy, auth: keys }
    - { prefix: /open, upstream: legacy }
    - { prefix: /paths, upstream: legacy, rewrite: /, auth: users }
auth:
  providers:
    users: { type: jwt, secret: "${secret}", algorithms: [HS256], claims_to_metadata: { sub: x-user-id, org: x-org } }
    web: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session, claims_to_metadata: { sub: x-user-id } }
    keys: { type: api_key, keys: ./keys.yaml }
  policies: [{ match: { route: "/paths/admin/**" }, require: { scopes: [admin] } }]
`,
    {
      "keys.yaml": `
- { hash: "${hashApiKey(key)}", subject: acme, metadata: { x-tier: gold } }
- { hash: "${hashApiKey(`${key}-2`)}", subject: other }
`,
    },
  );
  const token = await signShared(secret, { sub: "jdoe" });
  after(async () => {
    await gateway.close();
    server.close();
    server.closeAllConnections();
  });

  /** What the backend is told when these lines are sent. */
  async function told(path: string, ...lines: string[]): Promise<IncomingHttpHeaders> {
    const head = [`GET ${path} HTTP/1.1`, "host: a", "connection: close", ...lines].join("\r\n");
    const { text } = await converse(gateway.httpPort, [`${head}\r\n\r\n`], 1, true);
    const body = /\{.*\}/s.exec(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, ""));
    assert.ok(body, text);
    return JSON.parse(body[0]);
  }

  /** The status of an upgrade. */
  async function upgraded(path: string, ...lines: string[]): Promise<string | undefined> {
    const socket = connect(gateway.httpPort, "127.0.0.1");
    const head = [
      `GET ${path} HTTP/1.1`,
      "host: chat.example",
      "connection: upgrade",
      "upgrade: websocket",
      "sec-websocket-version: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
      ...lines,
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return statusesOf(chunk.toString("latin1"))[0];
  }

  const bearer = `authorization: Bearer ${token}`;

  test("a claim replaces the client's own header of that name, in any spelling", async () => {
    for (const spoof of [
      "x-user-id: root",
      "X-User-Id: root",
      "x_user_id: root",
      "X-USER_ID: root",
      "x-user-id: jdoe\r\nx-user-id: root",
    ]) {
      const headers = await told("/users/x", bearer, spoof);
      assert.equal(headers["x-user-id"], "jdoe", spoof);
      assert.doesNotMatch(JSON.stringify(headers), /root/, spoof);
    }
  });

  test("a pass-through drops the client's header of a claim that its token lacks", async () => {
    for (const name of ["x-org", "X-Org", "x_org"]) {
      const headers = await told("/users/x", bearer, `${name}: acme`);
      assert.doesNotMatch(JSON.stringify(headers), /acme/, name);
    }
    assert.equal((await told("/keys/x", `x-api-key: ${key}`, "x-tier: platinum"))["x-tier"], "gold");
    assert.equal((await told("/keys/x", `x-api-key: ${key}-2`, "x-tier: platinum"))["x-tier"], undefined);
  });

  test("a pass-through without authentication drops headers of claims of other routes", async () => {
    const headers = await told("/open/x", "x-user-id: root", "x-org: acme", "x-tier: gold", "x-mine: 1");
    assert.equal(headers["x-mine"], "1");
    assert.doesNotMatch(JSON.stringify(headers), /root|acme|gold/);
  });

  test("connection options take away nothing that the gateway says", async () => {
    const options = "connection: close, x-user-id, x-forwarded-for, x-request-id";
    const headers = await told("/users/x", bearer, options, "x-forwarded-for: 6.6.6.6");
    assert.equal(headers["x-user-id"], "jdoe");
    assert.equal(headers["x-forwarded-for"], "127.0.0.1");
    assert.ok(headers["x-request-id"]);
  });

  test("no spelling of a path leads to what a backend may take for a guarded one", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...spellings), { minLength: 1, maxLength: 4 }),
        async parts => {
          const head = [
            `GET /paths/${parts.join("/")} HTTP/1.1`,
            "host: a",
            "connection: close",
            "x-paths: 1",
            bearer,
          ];
          const { text } = await converse(gateway.httpPort, [`${head.join("\r\n")}\r\n\r\n`], 1, true);
          if (statusesOf(text)[0] !== "200") return;
          const target = /^\/\S*/m.exec(text)?.[0] ?? "";
          for (const times of [1, 2]) assert.doesNotMatch(tidied(target, times), /^\/admin(\/|$)/, target);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("headers of the backend's connection are not sent on the client's", async () => {
    const { text, closed } = await converse(
      gateway.httpPort,
      [`GET /open/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`],
      1,
      true,
    );
    assert.match(text, /^connection: close\r$/im);
    const [head = ""] = text.split("\r\n\r\n");
    assert.doesNotMatch(head, /keep-alive|x-hop/i);
    assert.ok(closed);
  });

  test("a request with the name of a claim as a header gets the claim in its place, and needs its credentials", async () => {
    const headers = await told("/users/x", bearer, "x-user-id: root");
    assert.equal(headers["x-user-id"], "jdoe");
    const { text } = await converse(
      gateway.httpPort,
      [`GET /users/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-user-id: jdoe\r\n\r\n`],
      1,
      true,
    );
    assert.equal(statusesOf(text)[0], "401");
  });

  test("a WebSocket needs the credentials that other requests need", { skip: !sockets }, async () => {
    assert.equal(await upgraded("/users/x"), "401");
    assert.equal(await upgraded("/users/x", bearer), "101");
    assert.equal(await upgraded("/users/x", `sec-websocket-protocol: bearer, ${token}`), "101");
    assert.equal(await upgraded("/users/x", bearer, `sec-websocket-protocol: bearer, ${token}`), "101");
  });

  test("a page of another origin opens no WebSocket with the cookie of its visitor", {
    skip: !sockets,
  }, async () => {
    const cookie = `cookie: session=${token}`;
    assert.equal(await upgraded("/web/x", cookie, "origin: https://chat.example"), "101");
    assert.equal(await upgraded("/web/x", cookie, "origin: https://evil.example"), "401");
    assert.equal(await upgraded("/web/x", cookie, "origin: null"), "401");
  });

  test("a cookie does not authenticate a request that a page of another origin has caused", async () => {
    const cookie = `cookie: session=${token}`;
    const status = async (...headers: string[]): Promise<string | undefined> => {
      const head = ["GET /web/x HTTP/1.1", "host: a", "connection: close", cookie, ...headers, "", ""];
      return statusesOf((await converse(gateway.httpPort, [head.join("\r\n")], 1, true)).text)[0];
    };
    for (const headers of [
      ["origin: https://evil.example"],
      ["origin: null"],
      ["sec-fetch-site: cross-site"],
      ["sec-fetch-site: same-site", "sec-fetch-mode: no-cors"],
    ])
      assert.equal(await status(...headers), "401", headers.join());
    for (const headers of [
      [],
      ["origin: http://a"],
      ["origin: https://a"],
      ["sec-fetch-site: same-origin"],
      ["sec-fetch-site: none"],
      ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"],
    ])
      assert.equal(await status(...headers), "200", headers.join());
  });
});
