import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { status as Code } from "@grpc/grpc-js";
import { startIssuer } from "../auth/issuer.js";
import { signer } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { noRedis, RedisServer } from "../limits/redis-server.js";
import { echo, type RawHandler, send, startBackend, startTestGateway, type TestGateway } from "./harness.js";

const proto = `
syntax = "proto3";
package gate.v1;
import "google/api/annotations.proto";
service Doors {
  rpc Get(Door) returns (Door) {
    option (google.api.http) = { get: "/doors/{name}" additional_bindings { post: "/doors/{name}" body: "*" } };
  }
  rpc Open(Door) returns (Door) { option (google.api.http) = { post: "/open/{name}" body: "*" }; }
}
service Auth { rpc Check(Token) returns (Who); }
message Door { string name = 1; }
message Token { string token = 1; }
message Who { string user_id = 1; string scope = 2; }
`;

/**
 * A gateway in front of one door.
 * @param doors further keys of its service
 * @param yaml further top-level keys
 * @param upstreams further upstreams
 */
async function startGate(check: RawHandler, doors: string, yaml: string, upstreams = "") {
  const backend = await startBackend({ "/gate.v1.Doors/Get": echo, "/gate.v1.Auth/Check": check });
  const file = (keys: string): string => `
descriptors: [{ protos: ./protos }]
upstreams: { back: { targets: ["127.0.0.1:${backend.port}"], timeout: 10s }${upstreams && `, ${upstreams}`} }
services: [{ service: gate.v1.Doors, upstream: back, ${keys}, methods: { Open: { auth: none, rate_limit: none } } }]
telemetry: { log: { level: debug } }
${yaml}`;
  const gateway = await startTestGateway(file(doors), { "protos/gate.proto": proto });
  after(async () => {
    await gateway.close();
    await backend.close();
  });
  const knock = (name: string, token?: string, signal?: AbortSignal) =>
    send(`${gateway.url}/doors/${name}`, {
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      ...(signal !== undefined && { signal }),
    });
  const opened = (name: string): boolean =>
    backend.calls.some(({ path, request }) => path.endsWith("/Get") && request.includes(name));
  const checks = (): number => backend.calls.filter(({ path }) => path.endsWith("/Check")).length;
  return { gateway, knock, opened, checks, file };
}

/** Handlers wait here until a test lets them go on. */
class Hold {
  readonly #waiting: (() => void)[] = [];
  #told: (() => void)[] = [];

  handler(then: RawHandler): RawHandler {
    return (call, reply) => {
      this.#waiting.push(() => then(call, reply));
      for (const tell of this.#told.splice(0)) tell();
    };
  }

  /** Resolves once so many wait. */
  async held(count: number): Promise<void> {
    while (this.#waiting.length < count) await new Promise<void>(resolve => this.#told.push(resolve));
  }

  release(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** A Who with one text field. */
const who = (subject: string): Buffer => Buffer.from([0x0a, subject.length, ...Buffer.from(subject)]);
const yes: RawHandler = (_, reply) => reply(null, who("jdoe"));
const fails =
  (code: Code): RawHandler =>
  (_, reply) =>
    reply({ code, details: "because of hunter2" });

/** Opens a connection of its own and writes to it. */
async function begin(port: number, text: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(text);
  return socket;
}

const forward = (more = "") =>
  `auth: { providers: { forward: { type: rpc, upstream: back, method: gate.v1.Auth/Check, token_field: token${more} } } }`;

describe(`backends of guards (${engineUnderTest()})`, () => {
  test("an rpc provider is called once for equal tokens, and a caller that leaves meanwhile calls nothing", async () => {
    const hold = new Hold();
    const gate = await startGate(
      hold.handler(yes),
      "auth: forward, rate_limit: one",
      `${forward()}
rate_limits: { one: { concurrency: 20, key: global } }`,
    );
    const leaving = new AbortController();
    const all = Array.from({ length: 19 }, (_, index) => gate.knock(`kept-${index}`, "t"));
    const left = gate.knock("left", "t", leaving.signal);
    await hold.held(1);
    const inside = /protogate_rate_limit_decisions_total\{limit="one",decision="admitted"\} 20\b/;
    for (;;) if (inside.test((await send(`${gate.gateway.admin}/metrics`)).text)) break;
    leaving.abort();
    await assert.rejects(left);
    hold.release();
    for (const answer of await Promise.all(all)) assert.equal(answer.status, 200);
    await gate.gateway.logged(line => line.path === "/doors/left");
    assert.equal(gate.opened("left"), false);
    assert.ok(gate.opened("kept-18"));
    assert.equal(gate.checks(), 1);
  });

  test("a caller that leaves in the middle of a body during the call to a provider releases its permit", async () => {
    const hold = new Hold();
    const gate = await startGate(
      hold.handler(yes),
      "auth: forward, rate_limit: one",
      `${forward()}
rate_limits: { one: { concurrency: 1, key: global } }`,
    );
    const { httpPort } = gate.gateway;
    for (const [name, length] of [
      ["length", "content-length: 100\r\n\r\n{"],
      ["chunks", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"],
      ["nothing", "content-length: 100\r\n\r\n"],
    ] as const) {
      const head = `POST /doors/${name} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${name}\r\ncontent-type: application/json\r\n`;
      const socket = await begin(httpPort, head + length);
      await hold.held(1);
      assert.equal((await gate.knock("full", "t")).status, 429);
      socket.destroy();
      // The gateway sees the end of the connection before the answer of the backend.
      for (let turn = 0; turn < 3; turn++) await send(`${gate.gateway.url}/nowhere`);
      hold.release();
      const line = await gate.gateway.logged(each => each.path === `/doors/${name}`);
      assert.equal(line.status, 499, name);
      assert.equal(gate.opened(name), false);
    }
    const free = gate.knock("free", "t");
    await hold.held(1);
    hold.release();
    assert.equal((await free).status, 200);
  });

  test("a caller that leaves a forwarded request during the call to a provider releases its permit", async () => {
    const asked: string[] = [];
    const legacy = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.end();
    }).listen(0, "127.0.0.1");
    await once(legacy, "listening");
    after(() => legacy.close());
    const hold = new Hold();
    const gate = await startGate(
      hold.handler(yes),
      "auth: none",
      `
${forward()}
rate_limits: { one: { concurrency: 1, key: global } }
http: { proxy: [{ prefix: /legacy, upstream: legacy, auth: forward, rate_limit: one }] }`,
      `legacy: { protocol: http, targets: ["http://127.0.0.1:${(legacy.address() as AddressInfo).port}"] }`,
    );
    for (const [name, rest] of [
      ["get", "\r\n"],
      ["post", "content-length: 100\r\n\r\n{"],
      [
        "upgrade",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n",
      ],
    ] as const) {
      const verb = name === "post" ? "POST" : "GET";
      const head = `${verb} /legacy/${name} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${name}\r\n`;
      const socket = await begin(gate.gateway.httpPort, head + rest);
      // Not every engine takes upgrades.
      const taken = hold.held(1).then(() => true);
      if (!(await Promise.race([taken, once(socket, "data").then(() => false)]))) continue;
      socket.destroy();
      for (let turn = 0; turn < 3; turn++) await gate.knock("in-between");
      hold.release();
      await gate.gateway.logged(each => each.path === `/legacy/${name}`);
    }
    const free = send(`${gate.gateway.url}/legacy/free`, { headers: { authorization: "Bearer free" } });
    await hold.held(1);
    hold.release();
    assert.equal((await free).status, 200);
    assert.deepEqual(asked, ["/legacy/free"]);
  });

  test("a body that stops during the call to a provider has no more time than another", async () => {
    const hold = new Hold();
    const gate = await startGate(
      hold.handler(yes),
      "auth: forward",
      `${forward()}
http: { limits: { request_timeout: 1s } }`,
    );
    const head =
      "POST /doors/slow HTTP/1.1\r\nhost: a\r\nauthorization: Bearer t\r\ncontent-type: application/json\r\n";
    const socket = await begin(gate.gateway.httpPort, `${head}content-length: 100\r\n\r\n{`);
    await hold.held(1);
    // When one that began later has had its time, so has this one.
    const open = "POST /open/slow HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{";
    const later = await begin(gate.gateway.httpPort, open);
    await once(later, "data");
    hold.release();
    const [answer] = (await once(socket, "data")) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 408 /);
    socket.destroy();
  });

  test("a call to an rpc provider that hangs ends after its timeout and admits no caller", async () => {
    const hold = new Hold();
    const gate = await startGate(hold.handler(yes), "auth: forward", forward(", timeout: 100ms"));
    const answers = await Promise.all(["a", "b", "c"].map(token => gate.knock(token, token)));
    for (const { status, json } of answers)
      assert.deepEqual([status, json.reason], [503, "AUTH_UNAVAILABLE"]);
    hold.release();
    assert.equal(gate.opened("a"), false);
    assert.match(
      (await send(`${gate.gateway.admin}/metrics`)).text,
      /protogate_auth_total\{provider="forward",result="unavailable"\} 3\b/,
    );
  });

  test("an rpc provider that fails gives 503, one that refuses or names no subject 401, and none of these is cached", async () => {
    let check: RawHandler = yes;
    const gate = await startGate(
      (call, reply) => check(call, reply),
      "auth: forward",
      forward(", cache: 0s"),
    );
    for (const [handler, status, reason] of [
      [fails(Code.INTERNAL), 503, "AUTH_UNAVAILABLE"],
      [fails(Code.UNAVAILABLE), 503, "AUTH_UNAVAILABLE"],
      [fails(Code.UNKNOWN), 503, "AUTH_UNAVAILABLE"],
      [fails(Code.RESOURCE_EXHAUSTED), 503, "AUTH_UNAVAILABLE"],
      [fails(Code.UNIMPLEMENTED), 503, "AUTH_UNAVAILABLE"],
      [
        ((_, reply) => reply(null, Buffer.from([0x0a, 0x7f, 1]))) satisfies RawHandler,
        503,
        "AUTH_UNAVAILABLE",
      ],
      [fails(Code.UNAUTHENTICATED), 401, "CREDENTIALS_INVALID"],
      [fails(Code.PERMISSION_DENIED), 401, "CREDENTIALS_INVALID"],
      [((_, reply) => reply(null, Buffer.alloc(0))) satisfies RawHandler, 401, "CREDENTIALS_INVALID"],
    ] as const) {
      check = handler;
      const answer = await gate.knock("no", "t");
      assert.deepEqual([answer.status, answer.json.reason], [status, reason]);
      assert.doesNotMatch(answer.text, /hunter2|gate\.v1|127\.0\.0\.1/);
    }
    assert.equal(gate.opened("no"), false);
    check = yes;
    assert.equal((await gate.knock("yes", "t")).status, 200);
  });

  test("a request keeps the guard that it began with over a reload, and a new one gets the new guard", async () => {
    const hold = new Hold();
    const gate = await startGate(hold.handler(fails(Code.UNAUTHENTICATED)), "auth: forward", forward());
    const old = gate.knock("old", "t");
    await hold.held(1);
    gate.gateway.write("gateway.yaml", gate.file("auth: none"));
    await gate.gateway.reload();
    assert.equal((await gate.knock("new")).status, 200);
    hold.release();
    assert.equal((await old).status, 401);
    assert.equal(gate.opened("old"), false);
  });

  test("a key set that hangs delays nothing else, and its fetch ends with the configuration", async () => {
    const fetches: IncomingMessage[] = [];
    const issuer = createServer((request: IncomingMessage, _response: ServerResponse) => {
      fetches.push(request);
      server.emit("asked");
    });
    const server = issuer.listen(0, "127.0.0.1");
    after(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server, "listening");
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    const asked = once(server, "asked");
    const gate = await startGate(
      yes,
      "auth: none",
      `
auth: { providers: { users: { type: jwt, jwks: "${jwks}", algorithms: [ES256] } } }`,
    );
    await asked;
    assert.equal((await gate.knock("open")).status, 200);
    gate.gateway.write("gateway.yaml", gate.file("auth: users"));
    const again = once(server, "asked");
    await gate.gateway.reload();
    await again;
    const [first, second] = fetches as [IncomingMessage, IncomingMessage];
    if (!first.destroyed) await once(first, "close").catch(() => undefined);
    const { sign } = await signer("k1");
    const waiting = gate.knock("closed", await sign());
    // Those without credentials need no keys.
    assert.equal((await gate.knock("closed")).status, 401);
    second.destroy();
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.json.reason], [503, "AUTH_UNAVAILABLE"]);
    assert.equal(gate.opened("closed"), false);
  });

  for (const [what, head, chunk] of [
    ["without end", {}, Buffer.alloc(65_536, " ")],
    ["that unpacks to a gigabyte", { "content-encoding": "gzip" }, gzipSync(Buffer.alloc(1 << 26))],
  ] as const) {
    test(`a key set ${what} is given up soon`, async () => {
      let sent = 0;
      const issuer = await startIssuer();
      issuer.answer = (_, response) => {
        response.writeHead(200, { "content-type": "application/json", ...head });
        const more = (): void => {
          while (!response.destroyed && sent < 1 << 30) {
            sent += chunk.length;
            if (!response.write(chunk)) return void response.once("drain", more);
          }
        };
        more();
      };
      const gate = await startGate(
        yes,
        "auth: users",
        `
auth: { providers: { users: { type: jwt, jwks: "${issuer.url}", algorithms: [ES256] } } }`,
      );
      const { sign } = await signer("k1");
      const answer = await gate.knock("closed", await sign());
      assert.deepEqual([answer.status, answer.json.reason], [503, "AUTH_UNAVAILABLE"]);
      await gate.gateway.logged(line => /is larger than/.test(String(line.msg)));
      assert.ok(sent < 1 << 24, String(sent));
    });
  }

  test("a storm of unknown keys calls the issuer once, and good tokens pass all the while", async () => {
    const key = await signer("k1");
    const issuer = await startIssuer(key.jwk);
    const gate = await startGate(
      yes,
      "auth: users",
      `
auth: { providers: { users: { type: jwt, jwks: "${issuer.url}", algorithms: [ES256] } } }`,
    );
    const token = await key.sign();
    assert.equal((await gate.knock("good", token)).status, 200);
    const before = issuer.fetches;
    const storm = await Promise.all(
      Array.from({ length: 100 }, async (_, index) =>
        gate.knock("bad", await key.sign({}, { kid: `k${index + 2}` })),
      ),
    );
    for (const { status } of storm) assert.equal(status, 401);
    assert.equal((await gate.knock("good", await key.sign({ sub: "bob" }))).status, 200);
    assert.ok(issuer.fetches - before <= 1, String(issuer.fetches - before));
    await issuer.close();
    assert.equal((await gate.knock("good", await key.sign({ sub: "eve" }))).status, 200);
    assert.equal(gate.opened("bad"), false);
  });

  test("Redis that hangs, ends and restarts fails no request and leaks no permit", {
    skip: noRedis,
  }, async () => {
    const redis = await RedisServer.start();
    after(() => redis.stop());
    const limits = (failure: string): string => `
rate_limits:
  shared: { requests: 1000000, concurrency: 2, key: global, store: redis, redis: "${redis.url}", on_store_failure: ${failure} }`;
    const gates = await Promise.all(
      ["allow", "deny", "local"].map(async failure => ({
        failure,
        gate: await startGate(yes, "rate_limit: shared", limits(failure)),
      })),
    );
    /** One at a time, so that the two places would be gone after two that were not given back. */
    const six = async (gate: { knock: (name: string) => Promise<{ status: number }> }): Promise<number[]> => {
      const found: number[] = [];
      for (let count = 0; count < 6; count++) found.push((await gate.knock("x")).status);
      return found;
    };
    const available = async ({ url }: TestGateway): Promise<void> => {
      for (;;) if ((await send(`${url}/doors/x`)).headers.has("ratelimit")) return;
    };
    for (const { gate } of gates) await available(gate.gateway);
    const down = { allow: 200, deny: 503, local: 200 } as Record<string, number>;
    redis.pause();
    for (const { failure, gate } of gates) {
      for (const status of await six(gate)) assert.equal(status, down[failure], failure);
    }
    await redis.stop();
    for (const { failure, gate } of gates) {
      for (const status of await six(gate)) assert.equal(status, down[failure], failure);
    }
    await redis.start();
    for (const { gate } of gates) {
      await gate.gateway.logged(line => /available again/.test(String(line.msg)));
      for (const status of await six(gate)) assert.equal(status, 200);
    }
  });
});
