import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import fc from "fast-check";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { echo, type RawHandler, send, startBackend, startTestGateway } from "./harness.js";

const secret = "0123456789abcdef0123456789abcdef";
const places = 3;

const proto = `
syntax = "proto3";
package hall.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
service Hall {
  rpc Sit(Guest) returns (Guest) { option (google.api.http) = { post: "/sit/{name}" body: "*" additional_bindings { get: "/sit/{name}" } }; }
  rpc Fall(Guest) returns (Guest) { option (google.api.http) = { get: "/fall/{name}" }; }
  rpc Late(Guest) returns (Guest) { option (google.api.http) = { get: "/late/{name}" }; }
  rpc Stay(Guest) returns (Guest) { option (google.api.http) = { get: "/stay/{name}" }; }
  rpc Known(Guest) returns (Guest) { option (google.api.http) = { get: "/known/{name}" }; }
  rpc Barred(Guest) returns (Guest) { option (google.api.http) = { get: "/barred/{name}" }; }
  rpc Full(Guest) returns (Guest) { option (google.api.http) = { get: "/full/{name}" }; }
}
message Guest { string name = 1 [(buf.validate.field).string.max_len = 40]; int32 age = 2; }
`;

describe(`places of a concurrency limit (${engineUnderTest()})`, async () => {
  /** Calls of Stay wait here. */
  const staying: (() => void)[] = [];
  let arrived = (): void => undefined;
  const stay: RawHandler = (call, reply) => {
    staying.push(() => reply(null, call.request));
    arrived();
  };
  const backend = await startBackend({
    "/hall.v1.Hall/Sit": echo,
    "/hall.v1.Hall/Fall": (_, reply) => reply({ code: Code.INTERNAL, details: "fell" }),
    "/hall.v1.Hall/Late": () => undefined,
    "/hall.v1.Hall/Stay": stay,
    "/hall.v1.Hall/Known": echo,
    "/hall.v1.Hall/Barred": echo,
    "/hall.v1.Hall/Full": echo,
  });
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { hall: { targets: ["127.0.0.1:${backend.port}"], timeout: 30s } }
services:
  - service: hall.v1.Hall
    upstream: hall
    rate_limit: hall
    metadata: { request: [x-raw-bin] }
    methods:
      Late: { timeout: 50ms }
      Known: { auth: users }
      Barred: { auth: users }
      Full: { rate_limit: [hall, none-left] }
http: { limits: { body: 1KiB } }
rate_limits:
  hall: { concurrency: ${places}, key: global }
  none-left: { requests: 1, per: 24h, key: global }
auth:
  providers: { users: { type: jwt, secret: "${secret}", algorithms: [HS256] } }
  policies: [{ match: { route: "/barred/**" }, require: { scopes: [staff] } }]
`,
    { "protos/hall.proto": proto },
  );
  after(async () => {
    for (const go of staying.splice(0)) go();
    await gateway.close();
    await backend.close();
  });
  const headers = { authorization: `Bearer ${await signShared(secret)}` };
  let count = 0;
  const name = (): string => `n${++count}`;
  const get = (path: string, init: RequestInit = {}) => send(`${gateway.url}${path}`, init);
  const post = (path: string, body: string, type = "application/json") =>
    get(path, { method: "POST", body, headers: { "content-type": type } });
  const over = (path: string): Promise<unknown> => gateway.logged(line => line.path === path);

  /** A request whose client leaves in the middle of its body. */
  async function leaveHalfway(path: string, head: string): Promise<void> {
    const socket = connect(gateway.httpPort, "127.0.0.1");
    socket.on("error", () => undefined);
    await once(socket, "connect");
    socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${head}`);
    // Another request in between, so that this one has begun.
    await get("/nowhere");
    socket.destroy();
    await over(path);
  }

  /** A request whose client leaves while the backend works on it. */
  async function leaveCalled(path: string): Promise<void> {
    const leaving = new AbortController();
    const left = get(path, { signal: leaving.signal });
    const outcome = left.then(
      ({ status }) => status,
      () => 499,
    );
    const seen = new Promise<void>(resolve => (arrived = resolve));
    // It is refused where there is no place for it.
    await Promise.race([seen, outcome]);
    leaving.abort();
    await outcome;
    await over(path);
    for (const go of staying.splice(0)) go();
  }

  /** Ways for a request to end, by their statuses where a place is free. */
  const ends: Readonly<Record<string, readonly [status: number, () => Promise<number>]>> = {
    answered: [200, async () => (await get(`/sit/${name()}`)).status],
    "answered to HEAD": [200, async () => (await get(`/sit/${name()}`, { method: "HEAD" })).status],
    "with a body": [200, async () => (await post(`/sit/${name()}`, '{"age":1}')).status],
    "failed by the backend": [500, async () => (await get(`/fall/${name()}`)).status],
    "too late": [504, async () => (await get(`/late/${name()}`)).status],
    "of nobody": [401, async () => (await get(`/known/${name()}`)).status],
    "of a bad token": [
      401,
      async () => (await get(`/known/${name()}`, { headers: { authorization: "Bearer x" } })).status,
    ],
    "of somebody": [200, async () => (await get(`/known/${name()}`, { headers })).status],
    "barred by a policy": [403, async () => (await get(`/barred/${name()}`, { headers })).status],
    "no JSON": [400, async () => (await post(`/sit/${name()}`, "{")).status],
    "of another type": [415, async () => (await post(`/sit/${name()}`, "x", "text/plain")).status],
    "too large": [413, async () => (await post(`/sit/${name()}`, `{"name":"${"x".repeat(2000)}"}`)).status],
    invalid: [400, async () => (await get(`/sit/${"x".repeat(41)}`)).status],
    "an unknown parameter": [400, async () => (await get(`/sit/${name()}?nobody=1`)).status],
    "a header that is none for metadata": [
      400,
      async () => (await get(`/sit/${name()}`, { headers: { "x-raw-bin": "%" } })).status,
    ],
    "refused by the next limit": [429, async () => (await get(`/full/${name()}`)).status],
    "left halfway through its body": [
      0,
      async () => {
        const path = `/sit/${name()}`;
        await leaveHalfway(path, "content-length: 100\r\n\r\n{");
        return 0;
      },
    ],
    "left halfway through its chunks": [
      0,
      async () => {
        const path = `/sit/${name()}`;
        await leaveHalfway(path, "transfer-encoding: chunked\r\n\r\n5\r\n{");
        return 0;
      },
    ],
    "left while it was answered": [
      0,
      async () => {
        await leaveCalled(`/stay/${name()}`);
        return 0;
      },
    ],
  };

  /** Sees that as many places are free as there are, no fewer and no more. */
  async function allFree(what: string): Promise<void> {
    const before = staying.length;
    assert.equal(before, 0, what);
    const all = new Promise<void>(resolve => {
      arrived = () => staying.length === places && resolve();
    });
    const seated = Array.from({ length: places }, () => get(`/stay/${name()}`));
    const refused = Promise.race(seated).then(({ status }) => status);
    assert.equal(await Promise.race([all, refused]), undefined, `after "${what}" a place is missing`);
    assert.equal((await get(`/sit/${name()}`)).status, 429, `after "${what}" there is a place too many`);
    for (const go of staying.splice(0)) go();
    for (const { status } of await Promise.all(seated)) assert.equal(status, 200);
  }

  test("a permit is released once, however a request ends", async () => {
    await get("/full/first");
    await allFree("the beginning");
    for (const [what, [expected, end]] of Object.entries(ends)) {
      assert.equal(await end(), expected, what);
      await allFree(what);
    }
  });

  test("permits are released once each by any number of requests in any order, concurrent ones too", async () => {
    const kinds = Object.keys(ends).filter(kind => kind !== "left while it was answered");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 5 }), { maxLength: 6 }),
        async rounds => {
          for (const round of rounds) {
            const statuses = await Promise.all(round.map(kind => ends[kind]?.[1]()));
            for (const [index, status] of statuses.entries()) {
              const kind = round[index] ?? "";
              assert.ok(status === ends[kind]?.[0] || status === 429, `${kind}: ${status}`);
            }
          }
          await allFree(JSON.stringify(rounds));
        },
      ),
      { numRuns: 15, endOnFailure: true },
    );
  });
});
