import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, test } from "node:test";
import { SealedCookie } from "../../src/auth/providers/oidc-login/sealed-cookie.js";
import { client, startLoginIssuer } from "../auth/login/login-issuer.js";
import { type BrowserResponse, type Reach, reachAt, TestBrowser } from "../auth/login/test-browser.js";
import { engineUnderTest } from "../engine.js";
import { requestUpgrade, upgradeStatus } from "./cross-site-socket.js";
import { startEcho } from "./echo.js";

const shop = "https://shop.test";
const secret = "a secret of the cookies, long enough";
const programKey = "a-key-of-a-program";
const evil = "https://evil.example";

describe(`browsers that log in (${engineUnderTest()})`, async () => {
  const issuer = await startLoginIssuer([shop]);
  const seen: (string | undefined)[] = [];
  const website = createServer((request, response) => {
    seen.push(request.headers["x-user"]?.toString());
    response.end("a page of the website");
  });
  await new Promise<void>(resolve => website.listen(0, "127.0.0.1", resolve));
  const yaml = `
http:
  forwarded: { trusted_hops: 1 }
  proxy: [{ prefix: /site, upstream: website, auth: [web] }]
  docs: { openapi: /openapi }
auth:
  default: [web, keys]
  providers:
    web:
      type: oidc_login
      issuer: ${issuer.url}
      client_id: ${client.id}
      client_secret: ${client.secret}
      public_url: ${shop}
      secrets: ["${secret}"]
      claims_to_metadata: { email: x-user }
    keys: { type: api_key, keys: ./keys.yaml }
realtime: { path: /ws, auth: [web] }
`;
  const keys = hash("sha256", programKey);
  const start = async () => {
    const system = await startEcho(
      "",
      yaml,
      {},
      `website: { protocol: http, targets: ["http://127.0.0.1:${(website.address() as AddressInfo).port}"] }`,
      { "keys.yaml": `- { hash: "sha256:${keys}", subject: program }\n` },
    );
    return system;
  };
  const system = await start();
  const { gateway, backend } = system;
  after(async () => {
    await system.close();
    await issuer.close();
    website.close();
    website.closeAllConnections();
  });

  /** As a proxy that ends TLS reaches it. */
  const behindProxy = (url: string): Reach => {
    const reach = reachAt(url);
    return (asked, { headers, ...request }) => {
      const forwarded = { "x-forwarded-host": "shop.test", "x-forwarded-proto": "https" };
      return reach(asked, { ...request, headers: { ...headers, ...forwarded } });
    };
  };
  const browserAt = (url: string): TestBrowser =>
    new TestBrowser({ [shop]: behindProxy(url), [issuer.url]: reachAt(issuer.url) });
  const loggedIn = async (path = "/v1/items/a", login = "jdoe"): Promise<TestBrowser> => {
    const browser = browserAt(gateway.url);
    const back = await browser.logIn(await browser.open(`${shop}${path}`), login);
    assert.deepEqual([back.url, back.status], [`${shop}${path}`, 200]);
    return browser;
  };
  const cookieOf = (browser: TestBrowser): string =>
    `__Host-protogate=${browser.cookies.get(shop)?.get("__Host-protogate")}`;
  const reason = ({ text }: BrowserResponse): unknown => JSON.parse(text).reason;

  /** A session that began, and was active, 20 minutes ago. @param lifetimeMs of its tokens, from now on */
  const sealedSession = (lifetimeMs: number, refresh?: string): string => {
    const settings = { name: "__Host-protogate", domain: undefined, sameSite: "Lax", secure: true } as const;
    const then = Date.now() - 1_200_000;
    const times = [then, then, then, Date.now() + lifetimeMs];
    const sealed = new SealedCookie(settings, [secret], `session ${issuer.url} ${client.id}`);
    const content = { times, claims: { sub: "jdoe" }, ...(refresh !== undefined && { refresh }) };
    return sealed.set(JSON.stringify(content), 1)?.split(";")[0] ?? "";
  };

  test("a person who opens a route logs in and gets its response, and the backend gets the subject", async () => {
    await loggedIn("/v1/items/a?count=2");
    assert.deepEqual(backend.calls.at(-1)?.metadata.get("x-user"), ["jdoe@example.com"]);
    const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
    assert.match(metrics, /protogate_auth_logins_total\{provider="web",result="success"\} 1/);
    assert.match(
      metrics,
      /^protogate_http_requests_total\{route="\/v1\/items\/\{id\}",method="GET",code="401",.* 1$/m,
    );
  });

  test("pages of a website behind the gateway lead to the login as well", async () => {
    await loggedIn("/site/index.html");
    assert.equal(seen.at(-1), "jdoe@example.com");
  });

  test("requests of pages and programs without a session get 401, and other providers are still tried", async () => {
    const browser = browserAt(gateway.url);
    const page = { "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin", origin: shop };
    const refused = await browser.send(`${shop}/v1/items`, { method: "POST", headers: page });
    assert.deepEqual([refused.status, reason(refused)], [401, "CREDENTIALS_MISSING"]);
    assert.match(
      refused.headers.get("www-authenticate") ?? "",
      /Cookie realm="protogate", login="\/auth\/login"/,
    );
    const program = { "x-api-key": programKey };
    assert.equal((await browser.send(`${shop}/v1/items/a`, { headers: program })).status, 200);
  });

  test("the session counts for the pages of its own origin, and for no others", async () => {
    const browser = await loggedIn();
    const post = async (headers: Record<string, string>): Promise<number> =>
      (
        await browser.send(`${shop}/v1/items`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: "{}",
        })
      ).status;
    assert.equal(await post({ origin: shop, "sec-fetch-site": "same-origin" }), 200);
    assert.equal(await post({ origin: evil, "sec-fetch-site": "cross-site" }), 401);
    assert.equal(await post({ origin: "null" }), 401);
    assert.equal(await post({ "sec-fetch-site": "cross-site" }), 401);
    const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
    assert.equal((await browser.send(`${shop}/v1/items/a`, { headers: image })).status, 401);
  });

  test("a WebSocket opens with the session for pages of the own origin alone", async () => {
    const cookie = cookieOf(await loggedIn());
    const status = (headers: Record<string, string>): Promise<number> =>
      upgradeStatus(`${gateway.url}/ws`, {
        "x-forwarded-host": "shop.test",
        "x-forwarded-proto": "https",
        ...headers,
      });
    assert.equal(await status({ cookie, origin: shop }), 101);
    assert.equal(await status({ cookie, origin: evil }), 403);
    assert.equal(await status({ origin: shop }), 401);
    assert.equal(await status({ cookie: `${cookie.slice(0, -8)}AAAAAAAA`, origin: shop }), 401);
  });

  test("the response that opens a WebSocket renews the session, also after a request to the issuer", async () => {
    const ask = (cookie: string) =>
      requestUpgrade(`${gateway.url}/ws`, {
        "x-forwarded-host": "shop.test",
        "x-forwarded-proto": "https",
        origin: shop,
        cookie,
      });
    const asked = issuer.requests.length;
    for (const cookie of [sealedSession(600_000), sealedSession(50_000, "unknown to the issuer")]) {
      const { statusCode, headers } = await ask(cookie);
      assert.equal(statusCode, 101);
      const [renewed = "", ...more] = headers["set-cookie"] ?? [];
      assert.match(
        renewed,
        /^__Host-protogate=[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
      );
      assert.deepEqual(more, []);
      assert.equal((await ask(renewed.split(";")[0] ?? "")).statusCode, 101);
    }
    assert.ok(issuer.requests.slice(asked).includes("/token"));
  });

  test("a session is renewed by the response to any request, a failure too, and known to every gateway", async () => {
    const other = await start();
    try {
      const cookie = sealedSession(600_000);
      for (const { gateway: each } of [system, other])
        for (const path of ["/v1/items/a", "/v1/items/a?unknown=1"]) {
          const { headers } = await behindProxy(each.url)(new URL(`${shop}${path}`), { headers: { cookie } });
          const [renewed = "", ...more] = headers.getSetCookie();
          assert.match(
            renewed,
            /^__Host-protogate=[\w-]+; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
          );
          assert.deepEqual(more, []);
          assert.match(headers.get("cache-control") ?? "", /private/);
          const [next = ""] = renewed.split(";");
          const later = await behindProxy(each.url)(new URL(`${shop}${path}`), { headers: { cookie: next } });
          assert.deepEqual(later.headers.getSetCookie(), []);
        }
    } finally {
      await other.close();
    }
  });

  test("a session may nearly fill its cookie", async () => {
    const browser = await loggedIn("/v1/items/a", "talkative");
    const { length } = cookieOf(browser);
    assert.ok(length > 3500 && length <= 4096, `${length}`);
    assert.equal((await browser.send(`${shop}/v1/items/a`)).status, 200);
  });

  test("a person whose login fails sees a page that leads back to it, and a program gets the error", async () => {
    const browser = browserAt(gateway.url);
    const page = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const url = `${shop}/auth/callback?state=unknown&code=${encodeURIComponent("<b>")}`;
    const seen = await browser.send(url, { headers: page });
    assert.deepEqual(
      [seen.status, seen.headers.get("content-type"), seen.headers.get("cache-control")],
      [400, "text/html; charset=utf-8", "no-store"],
    );
    assert.match(seen.text, /<p>The login cannot be completed\.<\/p>\n<p><a href="\/auth\/login">/);
    assert.ok(!seen.text.includes("unknown") && !seen.text.includes("<b>"));
    assert.match(seen.headers.get("set-cookie") ?? "", /^__Host-protogate-login=; /);
    const program = await browser.send(url, { headers: { accept: "application/json" } });
    assert.deepEqual([program.status, reason(program)], [400, "LOGIN_INVALID"]);
    await gateway.logged(line => line.reason === "LOGIN_INVALID" && line.status === 400);
    const begun = await browser.open(`${shop}/v1/items/a?count=2`);
    const refused = await browser.open(`${begun.url}/abort`);
    assert.equal(refused.status, 403);
    assert.match(refused.text, /<a href="\/auth\/login\?return_to=%2Fv1%2Fitems%2Fa%3Fcount%3D2">/);
  });

  test("a logout takes the cookie from the browser", async () => {
    const browser = await loggedIn();
    const { status, headers } = await browser.send(`${shop}/auth/logout`, {
      method: "POST",
      headers: { origin: shop, "sec-fetch-site": "same-origin" },
    });
    assert.equal(status, 303);
    const end = new URL(headers.get("location") ?? "");
    assert.deepEqual([end.origin, end.searchParams.get("client_id")], [issuer.url, client.id]);
    assert.equal((await browser.send(`${shop}/v1/items/a`)).status, 401);
  });

  test("the OpenAPI document has the session as a cookie, and where a login begins", async () => {
    const document = await (
      await fetch(`${gateway.url}/openapi`, { headers: { "x-api-key": programKey } })
    ).json();
    assert.deepEqual(
      (document as { components: { securitySchemes: { web: unknown } } }).components.securitySchemes.web,
      {
        type: "apiKey",
        in: "cookie",
        name: "__Host-protogate",
        description: "The session of a browser, which a login at /auth/login begins.",
      },
    );
  });

  test("no secret, cookie or code is in the log or in the configuration that is shown", async () => {
    const shown = await (await fetch(`${gateway.admin}/config`)).text();
    assert.match(shown, /oidc_login/);
    const log = JSON.stringify(gateway.log) + shown;
    for (const hidden of [secret, client.secret, "__Host-protogate=", "code="])
      assert.ok(!log.includes(hidden), hidden);
  });
});
