import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { upgradeStatus } from "./cross-site-socket.js";
import { type EchoSystem, startEcho } from "./echo.js";
import { send, startTestGateway } from "./harness.js";

const secret = "a secret of at least thirty-two characters";
const app = "https://app.example.com";
const evil = "https://evil.example";

const yaml = (origins: string): string => `
http: { cors: { origins: [${origins}] } }
auth:
  providers:
    web: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
livekit:
  url: wss://livekit.example.com
  api_key: key
  api_secret: ${secret}
  grants: { participant: { roomJoin: true } }
  routes: [{ post: /token, room: body.room, identity: body.identity, grant: participant, auth: [web] }]
realtime: { path: /ws, rest: /chat, auth: [web] }
`;

const service = "metadata: { request: [cookie] }, methods: { Create: { auth: [web] }, Get: { auth: none } }";

/** As `fetch(url, { mode: "no-cors", credentials: "include", body: bytes })` of a page, or with a type. */
interface Page {
  readonly origin?: string;
  readonly type?: string | undefined;
  readonly more?: Readonly<Record<string, string>>;
}

describe(`requests that pages cause (${engineUnderTest()})`, () => {
  let system: EchoSystem;
  let open: EchoSystem;
  let cookie: string;

  before(async () => {
    cookie = `session=${await signShared(secret, { sub: "jdoe" })}`;
    system = await startEcho(service, yaml(`"${app}"`));
    open = await startEcho(service, yaml('"*"'));
  });
  after(async () => {
    await system.close();
    await open.close();
  });

  const post = async (
    { gateway }: EchoSystem,
    path: string,
    body: string,
    { origin, type, more = {} }: Page,
  ): Promise<[number, string]> => {
    const headers = {
      cookie,
      ...(origin !== undefined && { origin }),
      ...(type !== undefined && { "content-type": type }),
      ...more,
    };
    // Bytes, so that no type is added.
    const { status, json } = await send(`${gateway.url}${path}`, {
      method: "POST",
      headers,
      body: new TextEncoder().encode(body),
    });
    return [status, String(json.reason ?? json.error ?? "")];
  };

  const routes: readonly [path: string, body: string][] = [
    ["/v1/items", '{"id":"a"}'],
    ["/token", '{"room":"r","identity":"jdoe"}'],
    ["/chat/send", '{"room_id":"r","message":"m"}'],
  ];

  for (const [path, body] of routes) {
    it(`${path} takes no cookie of a page of another origin`, async () => {
      for (const type of [undefined, "application/json"]) {
        assert.equal((await post(system, path, body, { origin: evil, type }))[0], 401, type);
        assert.equal((await post(open, path, body, { origin: evil, type }))[0], 401, `${type} under *`);
      }
      assert.equal((await post(system, path, body, { more: { "sec-fetch-site": "cross-site" } }))[0], 401);
      assert.equal((await post(system, path, body, { origin: "null" }))[0], 401);
    });

    it(`${path} takes the cookie of its own pages, of listed ones and of other clients`, async () => {
      for (const page of [
        {},
        { origin: system.gateway.url },
        { origin: app },
        { more: { "sec-fetch-site": "same-origin" } },
      ])
        assert.deepEqual(await post(system, path, body, page), [200, ""], JSON.stringify(page));
    });
  }

  it("a body without type of a page of another origin is refused on a route without authentication", async () => {
    const open_ = await startEcho("", yaml('"*"'));
    try {
      const body = '{"id":"a"}';
      assert.deepEqual(await post(open_, "/v1/items", body, { origin: evil }), [403, "ORIGIN_NOT_ALLOWED"]);
      assert.deepEqual(await post(open_, "/v1/raw", "x", { origin: evil }), [403, "ORIGIN_NOT_ALLOWED"]);
      assert.equal(open_.backend.calls.length, 0);
      assert.equal((await post(open_, "/v1/items", body, { origin: open_.gateway.url }))[0], 200);
      assert.equal((await post(open_, "/v1/items", body, {}))[0], 200);
      assert.equal(
        (await post(open_, "/v1/items", body, { origin: evil, type: "application/json" }))[0],
        200,
      );
      assert.equal((await post(open_, "/v1/items", "", { origin: evil }))[0], 200);
    } finally {
      await open_.close();
    }
  });

  it("a page of another origin opens no WebSocket with a cookie, under * neither", async () => {
    const status = (url: string, origin: string): Promise<number> => upgradeStatus(url, { cookie, origin });
    for (const { gateway } of [system, open]) {
      assert.equal(await status(`${gateway.url}/ws`, gateway.url), 101);
      assert.equal(await status(`${gateway.url}/ws`, evil), 403);
    }
    if (engineUnderTest() !== "fastify") return;
    const proxy = await startTestGateway(
      `
upstreams: { sockets: { protocol: http, targets: ["${system.gateway.url}"] } }
http:
  cors: { origins: ["*"] }
  proxy: [{ prefix: /sockets, rewrite: /, upstream: sockets, websocket: true, auth: [web] }]
auth: { providers: { web: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session } } }
`,
      {},
    );
    try {
      assert.equal(await status(`${proxy.url}/sockets/ws`, evil), 401);
    } finally {
      await proxy.close();
    }
  });

  it("a cookie that the service forwards reaches the backend only if it counts as a credential", async () => {
    const told = async (headers: Record<string, string>): Promise<readonly unknown[]> => {
      const { status } = await send(`${system.gateway.url}/v1/items/a`, {
        headers: { cookie: "a=1", ...headers },
      });
      assert.equal(status, 200);
      return system.backend.calls.at(-1)?.metadata.get("cookie") ?? [];
    };
    assert.deepEqual(await told({}), ["a=1"]);
    assert.deepEqual(await told({ origin: app }), ["a=1"]);
    assert.deepEqual(await told({ origin: evil }), []);
    assert.deepEqual(await told({ "sec-fetch-site": "cross-site" }), []);
  });
});
