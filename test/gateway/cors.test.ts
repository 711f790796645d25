import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { type EchoSystem, startEcho } from "./echo.js";
import { send } from "./harness.js";

const origin = "https://app.example.com";
const json = { "content-type": "application/json" };

const yaml = `
http:
  cors: { origins: ["${origin}"], credentials: true, expose_headers: [x-request-id] }
  security_headers: { x-frame-options: DENY, strict-transport-security: max-age=60 }
  limits: { body: 1KiB }
`;

/** What a page of `origin` needs to see in a reply. */
const readable = { origin, credentials: "true", exposed: "x-request-id", vary: "Origin" };

function seen(headers: Headers) {
  return {
    origin: headers.get("access-control-allow-origin"),
    credentials: headers.get("access-control-allow-credentials"),
    exposed: headers.get("access-control-expose-headers"),
    vary: headers.get("vary"),
  };
}

describe(`pages of other origins (${engineUnderTest()})`, () => {
  let system: EchoSystem;
  let url: string;

  before(async () => {
    system = await startEcho("methods: { Create: { limits: { body: 32 } } }", yaml);
    url = system.gateway.url;
  });
  after(() => system.close());

  const preflight = (path: string, from: string, method: string): ReturnType<typeof send> =>
    send(`${url}${path}`, {
      method: "OPTIONS",
      headers: { origin: from, "access-control-request-method": method },
    });

  it("pages of a listed origin may read responses, errors as well", async () => {
    const failures: readonly [status: number, path: string, init: RequestInit][] = [
      [200, "/v1/items/a", {}],
      [404, "/nowhere", {}],
      [405, "/v1/items/a", { method: "DELETE" }],
      [400, "/v1/items/a?absent=1", {}],
      [400, "/v1/items/%ff", {}],
      [413, "/v1/lists", { method: "POST", headers: json, body: " ".repeat(1025) }],
      [415, "/v1/lists", { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" }],
    ];
    for (const [status, path, init] of failures) {
      const reply = await send(`${url}${path}`, { ...init, headers: { ...init.headers, origin } });
      assert.equal(reply.status, status, path);
      assert.deepEqual(seen(reply.headers), readable, path);
    }
  });

  it("a preflight lists what pages may send and calls nothing", async () => {
    const before = system.backend.calls.length;
    const reply = await preflight("/v1/items/a", origin, "GET");
    assert.equal(reply.status, 204);
    assert.equal(system.backend.calls.length, before);
    assert.deepEqual(seen(reply.headers), readable);
    assert.equal(reply.headers.get("access-control-allow-methods"), "GET, HEAD, PATCH, PUT");
    assert.equal(
      reply.headers.get("access-control-allow-headers"),
      "authorization, content-type, x-request-id",
    );
    assert.equal(reply.headers.get("access-control-max-age"), "600");
  });

  it("pages of an unlisted origin are served like any client, and may read nothing", async () => {
    const nothing = { origin: null, credentials: null, exposed: null, vary: "Origin" };
    for (const from of ["https://evil.example.com", "null", `${origin}:8443`]) {
      const reply = await send(`${url}/v1/items/a`, { headers: { origin: from } });
      assert.equal(reply.status, 200);
      assert.deepEqual(seen(reply.headers), nothing);
      const refused = await preflight("/v1/items/a", from, "GET");
      assert.deepEqual(seen(refused.headers), nothing);
      assert.equal(refused.headers.get("access-control-allow-methods"), null);
    }
  });

  it("a preflight of a path without routes is 404", async () => {
    assert.equal((await preflight("/nowhere", origin, "GET")).status, 404);
  });

  it("every response carries the headers that are configured for all", async () => {
    for (const path of ["/v1/items/a", "/nowhere"]) {
      const { headers } = await send(`${url}${path}`);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("x-frame-options"), "DENY");
      assert.equal(headers.get("strict-transport-security"), null);
      assert.equal(headers.get("server"), null);
      assert.equal(headers.get("x-powered-by"), null);
    }
  });

  it("a method accepts a body up to its own limit and no larger one", async () => {
    const create = (text: string) =>
      send(`${url}/v1/items`, { method: "POST", headers: json, body: JSON.stringify({ note: text }) });
    assert.equal((await create("x".repeat(32 - 11))).status, 200);
    const reply = await create("x".repeat(33 - 11));
    assert.equal(reply.status, 413);
    assert.equal(reply.json.message, "the body is limited to 32 bytes");
  });
});
