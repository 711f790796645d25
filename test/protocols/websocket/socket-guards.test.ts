import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { Authority, withoutOpenssl } from "../../auth/certificates.js";
import { signShared } from "../../auth/tokens.js";
import { engineUnderTest } from "../../engine.js";
import { startKinds } from "../../peers/clients/backend.js";
import { startKindsGateway } from "../../peers/clients/gateway.js";
import { serveTicks } from "../../streams/ticks.js";

const secret = "0123456789abcdef0123456789abcdef";
const yaml = `
auth:
  providers:
    pages: { type: jwt, secret: "${secret}", algorithms: [HS256], cookie: session }
rate_limits: { few: { requests: 1, per: 1h, key: ip } }
http:
  rules: [{ selector: test.v1.Ticks.Send, post: "/v1/rooms/{room}/sends", body: "*" }]
  limits: { request_timeout: 500ms }
  cors: { origins: ["*"] }
`;
const service =
  "auth: none, methods: { Talk: { auth: [pages] }, Watch: { rate_limit: few }, Send: { limits: { body: 1MiB } } }";

/** What a client that opens a socket gets. */
interface Opened {
  /** Of the response to the handshake. */
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

describe(`guards of streams over WebSocket on ${engineUnderTest()}`, { timeout: 120_000 }, () => {
  const ticks = serveTicks(service, yaml);

  const url = (path: string): string => ticks.gateway.url.replace("http", "ws") + path;

  async function handshake(path: string, headers: Record<string, string>): Promise<Opened> {
    const client = new WebSocket(url(path), { headers });
    client.on("error", () => undefined);
    const response = await new Promise<IncomingMessage>(resolve => {
      client.on("upgrade", resolve);
      client.on("unexpected-response", (_request, refusal) => resolve(refusal));
    });
    let body = "";
    if (response.statusCode !== 101) for await (const chunk of response) body += chunk;
    client.terminate();
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  test("a cookie opens a socket for a page of the own origin, and counts for no other page", async () => {
    const cookie = `session=${await signShared(secret)}`;
    const cases: [Record<string, string>, number][] = [
      [{}, 401],
      [{ cookie }, 101],
      [{ cookie, origin: ticks.gateway.url }, 101],
      // Allowed to open sockets, by "*", which lets no cookie count.
      [{ cookie, origin: "https://evil.example" }, 401],
      [{ cookie, origin: "null" }, 401],
      [{ cookie, "sec-fetch-site": "cross-site" }, 401],
    ];
    for (const [headers, status] of cases) {
      const opened = await handshake("/v1/rooms/a:talk", headers);
      assert.deepEqual(
        [headers.origin ?? headers["sec-fetch-site"], opened.status],
        [headers.origin ?? headers["sec-fetch-site"], status],
      );
    }
  });

  test("a rate limit refuses a socket with 429 before it is open", async () => {
    const path = "/v1/rooms/a/ticks?hang=true";
    assert.equal((await handshake(path, {})).status, 101);
    const { status, headers, body } = await handshake(path, {});
    assert.deepEqual([status, JSON.parse(body).reason], [429, "RATE_LIMITED"]);
    assert.ok(Number(headers["retry-after"]) > 0);
  });

  test("a backend whose resources are exhausted ends a socket with 4429", async () => {
    const client = new WebSocket(url("/v1/rooms/a:find"));
    client.on("open", () => client.send('{"fail":8}'));
    const [code, reason] = await once(client, "close");
    assert.deepEqual([code, String(reason)], [4429, "RESOURCE_EXHAUSTED"]);
  });

  test("a server stream whose one message does not come ends with 4408", async () => {
    const client = new WebSocket(url("/v1/rooms/a:find"));
    const [[last], [code]] = await Promise.all([once(client, "message"), once(client, "close")]);
    assert.deepEqual([JSON.parse(String(last)).error.reason, code], ["REQUEST_TIMEOUT", 4408]);
  });

  test("a client that sends faster than the backend takes is held or ended with 4429", async () => {
    ticks.backend.cancelled = 0;
    const client = new WebSocket(url("/v1/rooms/a/sends"));
    client.on("error", () => undefined);
    let code: number | undefined;
    client.on("close", given => {
      code = given;
    });
    await once(client, "open");
    client.send('{"text":"hang"}');
    const frame = JSON.stringify({ text: "x".repeat(100_000) });
    for (let index = 0; index < 1000; index++) client.send(frame);
    let unsent = -1;
    while (code === undefined && client.bufferedAmount !== unsent) {
      unsent = client.bufferedAmount;
      await new Promise(resolve => setTimeout(resolve, 300));
    }
    if (code === undefined) {
      assert.ok(
        client.bufferedAmount > 20_000_000,
        `${100_000_000 - client.bufferedAmount} bytes were taken`,
      );
      client.terminate();
    } else {
      assert.equal(code, 4429);
    }
    await ticks.backend.onCancelled();
  });
});

test(`streams work over WebSocket and TLS on ${engineUnderTest()}, with messages larger than one record`, {
  skip: withoutOpenssl,
}, async t => {
  const authority = new Authority("sockets");
  const backend = await startKinds();
  const tls = authority.issue("gateway", "/CN=gateway", "DNS.1=localhost\nIP.1=127.0.0.1");
  const gateway = await startKindsGateway(backend, engineUnderTest(), { tls });
  t.after(async () => {
    await gateway.close();
    backend.close();
  });
  const client = new WebSocket(`wss://localhost:${gateway.port}/v1/kinds:bidi`, { ca: authority.ca.cert });
  await once(client, "open");
  const text = "é".repeat(50_000);
  client.send(JSON.stringify({ text }));
  assert.deepEqual(JSON.parse(String((await once(client, "message"))[0])), { text, count: 1 });
  client.send('{"code":5}');
  const [[last], [code, reason]] = await Promise.all([once(client, "message"), once(client, "close")]);
  assert.equal(JSON.parse(String(last)).error.reason, "TOLD");
  assert.deepEqual([code, String(reason)], [4404, "NOT_FOUND"]);
});
