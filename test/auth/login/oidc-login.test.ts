import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import type { SessionRefreshes } from "../../../src/auth/provider.js";
import { sessionRefreshes, shareRefreshes } from "../../../src/auth/providers/oidc-login/refreshes.js";
import { GatewayError } from "../../../src/status/failure.js";
import type { WorkerProcess } from "../../../src/workers/pool.js";
import { Workspace } from "../../config/workspace.js";
import { type InProcess, workerInProcess } from "../../workers/in-process.js";
import { callerOf, type TestProviders, testProviders } from "../harness.js";
import { client, type LoginIssuer, startLoginIssuer } from "./login-issuer.js";
import { type Reach, reachAt, TestBrowser } from "./test-browser.js";

const workspace = new Workspace();
const shop = "https://shop.test";
const secret = "a secret of the cookies, long enough";
let issuer: LoginIssuer;

before(async () => {
  issuer = await startLoginIssuer([shop]);
});
after(() => issuer.close());

/** The gateway as far as one provider is it: routes of its own, and everything else behind it. */
function reachProvider({ provider, ask }: TestProviders): Reach {
  const routes: Readonly<Record<string, string>> = {
    "/auth/login": "login",
    "/auth/callback": "callback",
    "/auth/logout": "logout",
  };
  return async (url, { method = "GET", headers = {} }) => {
    const caller = callerOf({ method, headers, path: url.pathname, query: url.search.slice(1) });
    const route = routes[url.pathname];
    try {
      if (route !== undefined) {
        const served = await provider("web").serve?.(route, caller);
        assert.ok(served !== undefined);
        return {
          status: served.status,
          headers: new Headers(served.headers as [string, string][]),
          text: served.body,
        };
      }
      const {
        subject,
        claims,
        scopes,
        responseHeaders = [],
      } = await ask({ method, headers, path: url.pathname, query: url.search.slice(1) });
      const text = JSON.stringify({ subject, claims, scopes: [...scopes] });
      return { status: 200, headers: new Headers(responseHeaders as [string, string][]), text };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const { failure } = error;
      const found = new Headers(failure.headers as [string, string][]);
      if (failure.location !== undefined) found.set("location", failure.location);
      const status = failure.location === undefined ? failure.httpStatus : 302;
      return { status, headers: found, text: failure.reason };
    }
  };
}

interface Shop {
  readonly browser: TestBrowser;
  readonly providers: TestProviders;
  readonly reach: Reach;
}

function openShop(settings: object = {}, now?: () => number, refreshes?: SessionRefreshes): Shop {
  const section = {
    type: "oidc_login",
    issuer: issuer.url,
    client_id: client.id,
    client_secret: client.secret,
    public_url: shop,
    secrets: [secret],
    ...settings,
  };
  const yaml = `listeners: { http: { address: ":0" } }\nauth: { providers: { web: ${JSON.stringify(section)} } }`;
  const providers = testProviders(workspace.config(yaml), {
    ...(now !== undefined && { now }),
    ...(refreshes !== undefined && { refreshes }),
  });
  const reach = reachProvider(providers);
  return { providers, reach, browser: browserAt(reach) };
}

const browserAt = (reach: Reach): TestBrowser =>
  new TestBrowser({ [shop]: reach, [issuer.url]: reachAt(issuer.url) });

const cookieOf = (browser: TestBrowser): string | undefined =>
  browser.cookies.get(shop)?.get("__Host-protogate");

test("a page without a session leads to the issuer, and after the login back to the page", async () => {
  const { browser } = openShop();
  const page = await browser.open(`${shop}/orders?from=2026`);
  assert.equal(new URL(page.url).origin, issuer.url);
  const back = await browser.logIn(page, "jdoe");
  assert.equal(back.url, `${shop}/orders?from=2026`);
  const { subject, claims, scopes } = JSON.parse(back.text);
  assert.equal(subject, "jdoe");
  assert.deepEqual(scopes, ["openid"]);
  assert.deepEqual(Object.keys(claims).sort(), ["email", "groups", "number", "scope", "sub"]);
});

/** Logs in by opening a page; resolves with the page. */
async function loggedIn({ browser }: Shop, login = "jdoe", path = "/orders") {
  return browser.logIn(await browser.open(`${shop}${path}`), login);
}

/** Logs in up to the response of the issuer, which the browser does not bring to the gateway. */
async function callbackUrl(
  { browser, reach }: Shop,
  login: string,
  change: (authorization: URL) => void = () => undefined,
): Promise<URL> {
  const begun = await browser.send(`${shop}/auth/login`);
  const url = new URL(begun.headers.get("location") ?? "");
  change(url);
  let callback: URL | undefined;
  const caught: Reach = async (asked, request) => {
    if (asked.pathname !== "/auth/callback") return reach(asked, request);
    callback = asked;
    return { status: 200, headers: new Headers(), text: "caught" };
  };
  const issuerCookies = new TestBrowser({ [shop]: caught, [issuer.url]: reachAt(issuer.url) });
  await issuerCookies.logIn(await issuerCookies.open(url.href), login);
  assert.ok(callback !== undefined);
  return callback;
}

const loginCookie = "__Host-protogate-login";

test("the cookie of a session is for this host, encrypted connections and the gateway alone", async () => {
  const { browser, reach } = openShop();
  const lines: string[] = [];
  const watching: Reach = async (url, request) => {
    const response = await reach(url, request);
    lines.push(...response.headers.getSetCookie());
    return response;
  };
  const watched = new TestBrowser({ [shop]: watching, [issuer.url]: reachAt(issuer.url) });
  await watched.logIn(await watched.open(`${shop}/`), "jdoe");
  assert.match(
    lines.find(line => line.startsWith("__Host-protogate=")) ?? "",
    /^__Host-protogate=[\w-]{100,4000}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
  );
  assert.match(
    lines[0] ?? "",
    /^__Host-protogate-login=[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
  );
  assert.match(lines[1] ?? "", /^__Host-protogate-login=; Path=\/; Max-Age=0; /);
  assert.equal(cookieOf(browser), undefined);
});

test("only a person who opens a page is led to the login; all others get 401 that says where it is", async () => {
  const { browser, providers } = openShop();
  const page = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const html = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };
  const url = `${shop}/orders`;
  for (const headers of [page, html]) {
    const { status, headers: found } = await browser.send(url, { headers });
    assert.deepEqual([status, found.get("location")], [302, `${shop}/auth/login?return_to=%2Forders`]);
  }
  const others = [
    {},
    { headers: { accept: "application/json, text/html" } },
    { headers: { ...html, "sec-fetch-mode": "cors" } },
    { headers: { ...page, "sec-fetch-dest": "iframe" } },
    { headers: { ...page, upgrade: "websocket" } },
    { headers: page, method: "POST" },
    { headers: html, method: "HEAD" },
  ];
  for (const request of others) {
    const { status, headers, text } = await browser.send(url, request);
    assert.deepEqual([status, text], [401, "CREDENTIALS_MISSING"], JSON.stringify(request));
    assert.equal(headers.get("www-authenticate"), 'Cookie realm="protogate", login="/auth/login"');
  }
  assert.match(await providers.metrics(), /protogate_auth_total\{provider="web",result="missing"\} 9/);
});

test("the response of a login that somebody else has begun logs nobody in", async () => {
  const attacker = openShop();
  const victim = openShop();
  const url = await callbackUrl(attacker, "attacker");
  const { status, text } = await victim.browser.open(url.href);
  assert.deepEqual([status, text], [400, "LOGIN_INVALID"]);
  assert.equal(cookieOf(victim.browser), undefined);
  assert.match(
    await victim.providers.metrics(),
    /protogate_auth_logins_total\{provider="web",result="invalid"\} 1/,
  );
  const begun = await callbackUrl(victim, "jdoe");
  begun.searchParams.set("code", url.searchParams.get("code") ?? "");
  assert.equal((await victim.browser.open(begun.href)).text, "LOGIN_INVALID");
  assert.equal(cookieOf(victim.browser), undefined);
});

test("the response of a login counts once, also for a browser that has kept what belongs to it", async () => {
  const { browser } = openShop();
  const url = await callbackUrl({ ...openShop(), browser }, "jdoe");
  const kept = browser.cookies.get(shop)?.get(loginCookie) ?? "";
  assert.equal((await browser.open(url.href)).url, `${shop}/`);
  const session = cookieOf(browser);
  assert.equal((await browser.open(url.href)).text, "LOGIN_INVALID");
  browser.cookies.get(shop)?.set(loginCookie, kept);
  assert.equal((await browser.open(url.href)).text, "LOGIN_INVALID");
  assert.equal(cookieOf(browser), session);
});

const changes: Readonly<Record<string, (callback: URL) => void>> = {
  "another state": url => url.searchParams.set("state", "another"),
  "two states": url => url.searchParams.append("state", "another"),
  "no state": url => url.searchParams.delete("state"),
  "the name of another issuer (RFC 9207)": url => url.searchParams.set("iss", "https://evil.example"),
  "no name of the issuer, which it promises": url => url.searchParams.delete("iss"),
  "another code": url => url.searchParams.set("code", "another"),
  "no code": url => url.searchParams.delete("code"),
};

for (const [what, change] of Object.entries(changes))
  test(`a response of the issuer with ${what} logs nobody in`, async () => {
    const shopper = openShop();
    const url = await callbackUrl(shopper, "jdoe");
    change(url);
    const { status, text } = await shopper.browser.open(url.href);
    assert.deepEqual([status, text], [400, "LOGIN_INVALID"]);
    assert.equal(cookieOf(shopper.browser), undefined);
  });

for (const parameter of ["nonce", "code_challenge"])
  test(`an authorization request whose ${parameter} was replaced on the way logs nobody in`, async () => {
    const shopper = openShop();
    const other = "a".repeat(43);
    const url = await callbackUrl(shopper, "jdoe", asked => asked.searchParams.set(parameter, other));
    assert.equal((await shopper.browser.open(url.href)).text, "LOGIN_INVALID");
    assert.equal(cookieOf(shopper.browser), undefined);
  });

test("a login takes ten minutes at most", async () => {
  let time = Date.now();
  const shopper = openShop({}, () => time);
  const url = await callbackUrl(shopper, "jdoe");
  time += 601_000;
  assert.equal((await shopper.browser.open(url.href)).text, "LOGIN_INVALID");
});

test("four tabs may log in at once; a fifth ends the login of the first", async () => {
  const shopper = openShop();
  const urls: URL[] = [];
  for (let tab = 0; tab < 5; tab++) urls.push(await callbackUrl(shopper, "jdoe"));
  const texts = [];
  for (const url of urls) texts.push((await shopper.browser.open(url.href)).status);
  assert.deepEqual(texts, [400, 200, 200, 200, 200]);
});

test("no login leads to another host", async () => {
  const shopper = openShop();
  const evil = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "/a\\..\\evil",
    "/\t/evil.example",
    "/a\r\nset-cookie: a=b",
    "javascript:alert(1)",
    "evil.example",
    "@evil.example",
    "",
    `/${"a".repeat(400)}`,
  ];
  for (const target of evil) {
    const page = await shopper.browser.open(`${shop}/auth/login?return_to=${encodeURIComponent(target)}`);
    const back = new URL(page.url).origin === shop ? page : await shopper.browser.logIn(page, "jdoe");
    assert.equal(back.url, `${shop}/`, target);
  }
  const twice = await shopper.browser.open(`${shop}/auth/login?return_to=/a&return_to=/b`);
  assert.equal(twice.url, `${shop}/`);
  const own = await shopper.browser.open(
    `${shop}/auth/login?return_to=${encodeURIComponent("/..//evil.example")}`,
  );
  assert.equal(new URL(own.url).origin, shop);
});

test("a cookie that was changed, comes twice or was made for something else is no session", async () => {
  const shopper = openShop();
  await shopper.browser.open(`${shop}/auth/login`);
  const login = shopper.browser.cookies.get(shop)?.get(loginCookie);
  await shopper.browser.logIn(await shopper.browser.open(`${shop}/`), "jdoe");
  const session = cookieOf(shopper.browser) ?? "";
  const ask = (value: string) =>
    shopper.reach(new URL(`${shop}/`), { headers: { cookie: `__Host-protogate=${value}` } });
  assert.equal((await ask(session)).status, 200);
  const bytes = Buffer.from(session, "base64url");
  const flipped = [0, 12, 40, bytes.length - 1].map(index => {
    const changed = Buffer.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    return changed.toString("base64url");
  });
  const bad = [
    ...flipped,
    session.slice(0, 40),
    session.slice(0, -4),
    login ?? "",
    "a",
    "a".repeat(5000),
    `${session}; __Host-protogate=${session}`,
  ];
  for (const value of bad) {
    const { status, text } = await ask(value);
    assert.deepEqual([status, text], [401, "CREDENTIALS_INVALID"], value);
  }
  const other = openShop({ client_id: "other" });
  const cookie = { headers: { cookie: `__Host-protogate=${session}` } };
  assert.equal((await other.reach(new URL(`${shop}/`), cookie)).text, "CREDENTIALS_INVALID");
});

test("secrets are replaced without ending sessions: the first encrypts, all decrypt", async () => {
  const shopper = openShop();
  await loggedIn(shopper);
  const cookie = { headers: { cookie: `__Host-protogate=${cookieOf(shopper.browser)}` } };
  const next = "the next secret of the cookies, as long";
  const status = async (...secrets: string[]): Promise<number> =>
    (await openShop({ secrets }).reach(new URL(`${shop}/`), cookie)).status;
  assert.equal(await status(next, secret), 200);
  assert.equal(await status(next), 401);
  const after = openShop({ secrets: [next, secret] });
  await loggedIn(after);
  const later = { headers: { cookie: `__Host-protogate=${cookieOf(after.browser)}` } };
  assert.equal((await openShop({ secrets: [next] }).reach(new URL(`${shop}/`), later)).status, 200);
  assert.equal((await shopper.reach(new URL(`${shop}/`), later)).status, 401);
});

test("a session ends after its idle time, which requests renew, and after its ttl, which they do not", async () => {
  let time = Date.now();
  // The tokens of the issuer last for an hour.
  const shopper = openShop({ cookie: { idle: "10m", ttl: "50m" } }, () => time);
  await loggedIn(shopper);
  const ask = () => shopper.browser.send(`${shop}/`);
  const first = cookieOf(shopper.browser);
  time += 59_000;
  await ask();
  assert.equal(cookieOf(shopper.browser), first, "not yet a tenth of the idle time");
  time += 1000;
  const { headers } = await ask();
  assert.match(headers.get("set-cookie") ?? "", /; Max-Age=600; /);
  assert.equal(headers.get("cache-control"), "private");
  assert.notEqual(cookieOf(shopper.browser), first);
  for (let minutes = 1; minutes < 49; minutes += 8) {
    assert.equal((await ask()).status, 200, `${minutes}`);
    time += 8 * 60_000;
  }
  assert.equal((await ask()).status, 200);
  time += 60_000;
  assert.equal((await ask()).text, "TOKEN_EXPIRED");
  // The issuer still knows the browser.
  assert.equal((await shopper.browser.open(`${shop}/`)).status, 200);
  time += 600_000;
  assert.equal((await ask()).text, "TOKEN_EXPIRED");
});

test("a session without a refresh token ends when its tokens expire", async () => {
  let time = Date.now();
  const shopper = openShop({ cookie: { idle: "24h", ttl: "24h" } }, () => time);
  await loggedIn(shopper);
  time += 3_590_000;
  assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
  time += 20_000;
  assert.equal((await shopper.browser.send(`${shop}/`)).text, "TOKEN_EXPIRED");
});

const offline = {
  requested_scopes: ["openid", "offline_access"],
  authorization_parameters: { prompt: "consent" },
  cookie: { idle: "24h", ttl: "24h" },
};

const tokenRequests = (): number => issuer.requests.filter(path => path === "/token").length;

test("tokens are refreshed before they expire, once for all requests of a session", async () => {
  let time = Date.now();
  const shopper = openShop(offline, () => time);
  await loggedIn(shopper);
  const old = { headers: { cookie: `__Host-protogate=${cookieOf(shopper.browser)}` } };
  const before = tokenRequests();
  time += 3_541_000;
  const all = await Promise.all(Array.from({ length: 5 }, () => shopper.browser.send(`${shop}/`)));
  assert.deepEqual(
    all.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  );
  assert.equal(tokenRequests(), before + 1);
  // A request that was under way with the cookie from before.
  assert.equal((await shopper.reach(new URL(`${shop}/`), old)).status, 200);
  assert.equal(tokenRequests(), before + 1);
  time += 3_541_000;
  assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
  assert.equal(tokenRequests(), before + 2);
  assert.match(
    await shopper.providers.metrics(),
    /protogate_auth_session_refreshes_total\{provider="web",result="success"\} 2/,
  );
});

type ShopOfWorker = Shop & Pick<InProcess, "kill">;

/** Shops of workers that share their refreshes. */
function openWorkers(count: number, now: () => number): ShopOfWorker[] {
  const forked: ((worker: WorkerProcess) => void)[] = [];
  shareRefreshes({ onForked: handle => void forked.push(handle) });
  return Array.from({ length: count }, (_, index) => {
    const { worker, open, kill } = workerInProcess(index + 1);
    for (const handle of forked) handle(worker);
    return { ...openShop(offline, now, sessionRefreshes(open())), kill };
  });
}

test("workers that refresh one session at once use its refresh token once, and each has the outcome", async () => {
  let time = Date.now();
  const workers = openWorkers(3, () => time);
  const [first] = workers as [ShopOfWorker];
  await loggedIn(first);
  const ask = (cookie: string | undefined) =>
    Promise.all(
      workers.map(({ reach }) =>
        reach(new URL(`${shop}/`), { headers: { cookie: `__Host-protogate=${cookie}` } }),
      ),
    );
  const old = cookieOf(first.browser);
  const before = tokenRequests();
  time += 3_541_000;
  const all = [...(await ask(old)), ...(await ask(old))];
  assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
  assert.equal(tokenRequests(), before + 1);
  const renewed = all.map(({ headers }) => /^[^=]+=([^;]+)/.exec(headers.get("set-cookie") ?? "")?.[1]);
  time += 3_541_000;
  for (const cookie of [renewed[0], renewed[2]]) assert.equal((await ask(cookie))[1]?.status, 200);
  assert.equal(tokenRequests(), before + 2);
  for (const { kill } of workers) kill();
});

test("a worker makes the refresh in the place of one that has ended while it was making it", async () => {
  let time = Date.now();
  const [first, second] = openWorkers(2, () => time) as [ShopOfWorker, ShopOfWorker];
  await loggedIn(second);
  const cookie = { headers: { cookie: `__Host-protogate=${cookieOf(second.browser)}` } };
  time += 3_541_000;
  let asked = (): void => undefined;
  const reached = new Promise<void>(resolve => {
    asked = resolve;
  });
  issuer.intercept = request => {
    if (request.url !== "/token") return false;
    asked();
    return true;
  };
  try {
    const lost = first.reach(new URL(`${shop}/`), cookie).catch(() => undefined);
    await reached;
    const waiting = second.reach(new URL(`${shop}/`), cookie);
    issuer.intercept = () => false;
    first.kill();
    assert.equal((await waiting).status, 200);
    assert.match(
      await second.providers.metrics(),
      /session_refreshes_total\{provider="web",result="success"\} 1/,
    );
    void lost;
  } finally {
    issuer.intercept = () => false;
  }
});

test("a reload does not use a refresh token again that was used before it", async () => {
  let time = Date.now();
  const refreshes = sessionRefreshes();
  const shopper = openShop(offline, () => time, refreshes);
  await loggedIn(shopper);
  const old = { headers: { cookie: `__Host-protogate=${cookieOf(shopper.browser)}` } };
  time += 3_541_000;
  const before = tokenRequests();
  assert.equal((await shopper.reach(new URL(`${shop}/`), old)).status, 200);
  const reloaded = openShop(offline, () => time, refreshes);
  assert.equal((await reloaded.reach(new URL(`${shop}/`), old)).status, 200);
  assert.equal(tokenRequests(), before + 1);
});

test("a session whose grant was taken back lasts until its tokens expire", async () => {
  let time = Date.now();
  const shopper = openShop(offline, () => time);
  await loggedIn(shopper);
  const cookie = cookieOf(shopper.browser);
  await shopper.browser.open(`${shop}/auth/logout`);
  shopper.browser.cookies.get(shop)?.set("__Host-protogate", cookie ?? "");
  time += 3_541_000;
  assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
  time += 120_000;
  assert.equal((await shopper.browser.send(`${shop}/`)).text, "TOKEN_EXPIRED");
  assert.match(
    await shopper.providers.metrics(),
    /session_refreshes_total\{provider="web",result="refused"\} 2/,
  );
});

test("while the issuer is down sessions go on, logins and refreshes that are due are 503", async () => {
  let time = Date.now();
  const shopper = openShop(offline, () => time);
  await loggedIn(shopper);
  const url = await callbackUrl(shopper, "jdoe");
  issuer.intercept = (request, response) => {
    if (request.url === "/token") response.destroy();
    else response.writeHead(502).end("down");
    return true;
  };
  try {
    assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
    const { status, text } = await shopper.browser.open(url.href);
    assert.deepEqual([status, text], [503, "AUTH_UNAVAILABLE"]);
    const other = openShop();
    assert.equal((await other.browser.open(`${shop}/`)).text, "AUTH_UNAVAILABLE");
    assert.match(await other.providers.metrics(), /logins_total\{provider="web",result="unavailable"\} 1/);
    time += 3_541_000;
    assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
    time += 60_000;
    assert.equal((await shopper.browser.send(`${shop}/`)).text, "AUTH_UNAVAILABLE");
  } finally {
    issuer.intercept = () => false;
  }
  assert.equal((await shopper.browser.send(`${shop}/`)).text, "AUTH_UNAVAILABLE", "for some seconds more");
  time += 5000;
  assert.equal((await shopper.browser.send(`${shop}/`)).status, 200);
});

test("a person who refuses the login gets no session", async () => {
  const { browser } = openShop();
  const page = await browser.open(`${shop}/`);
  const back = await browser.open(`${page.url}/abort`);
  assert.deepEqual([back.status, back.text, cookieOf(browser)], [403, "LOGIN_REFUSED", undefined]);
});

test("claims that no cookie can hold are refused with what to do, and `claims` chooses among them", async () => {
  const shopper = openShop();
  assert.equal((await loggedIn(shopper, "verbose")).text, "LOGIN_REFUSED");
  assert.equal(cookieOf(shopper.browser), undefined);
  const { message } = await shopper.providers.logged("more than a cookie holds");
  assert.match(
    message,
    /^a login was not completed: the session needs \d+ bytes, .*: name what it keeps by "claims"$/,
  );
  const chosen = openShop({ claims: ["email"], claims_to_metadata: { number: "x-number" } });
  const { claims } = JSON.parse((await loggedIn(chosen, "verbose")).text);
  assert.deepEqual(Object.keys(claims).sort(), ["email", "number", "scope", "sub"]);
});

test("a logout ends the session here and at the issuer, and takes the refresh token back", async () => {
  const shopper = openShop(offline);
  await loggedIn(shopper);
  const asked = issuer.requests.length;
  const page = await shopper.browser.open(`${shop}/auth/logout`, { method: "POST" }, "same-origin");
  assert.equal(cookieOf(shopper.browser), undefined);
  const end = new URL(page.url);
  assert.equal(end.pathname, "/session/end");
  const hint = (end.searchParams.get("id_token_hint") ?? "").split(".")[1] ?? "";
  assert.equal(JSON.parse(Buffer.from(hint, "base64url").toString()).sub, "jdoe");
  assert.ok(issuer.requests.slice(asked).includes("/token/revocation"));
  const back = await shopper.browser.submit(page, { logout: "yes" });
  // The issuer leads back to the gateway, which asks for a login again.
  assert.ok(back.urls.includes(`${shop}/`), back.urls.join(" "));
  assert.match(back.text, /value="login"/);
});

test("where the cookie has no room for the ID token, a logout goes without it", async () => {
  const shopper = openShop();
  await loggedIn(shopper, "talkative");
  const { headers } = await shopper.browser.send(`${shop}/auth/logout`);
  const end = new URL(headers.get("location") ?? "");
  assert.deepEqual(
    [end.pathname, end.searchParams.get("client_id"), end.searchParams.get("id_token_hint")],
    ["/session/end", client.id, null],
  );
});

test("pages of other sites log nobody out", async () => {
  const shopper = openShop();
  await loggedIn(shopper);
  for (const [method, headers] of [
    ["GET", { "sec-fetch-site": "cross-site" }],
    ["GET", { "sec-fetch-site": "same-site" }],
    ["POST", { origin: "https://evil.example" }],
    ["POST", { origin: "null" }],
  ] as const) {
    const { text } = await shopper.browser.send(`${shop}/auth/logout`, { method, headers });
    assert.equal(text, "ORIGIN_NOT_ALLOWED");
  }
  assert.notEqual(cookieOf(shopper.browser), undefined);
  const own = { method: "POST", headers: { origin: shop, "sec-fetch-site": "same-origin" } };
  assert.equal((await shopper.browser.send(`${shop}/auth/logout`, own)).status, 303);
  assert.equal(cookieOf(shopper.browser), undefined);
});

test("with same_site: strict the login ends with a page, as no redirect carries such a cookie", async () => {
  const { browser } = openShop({ cookie: { same_site: "strict" } });
  const page = await browser.open(`${shop}/orders?a=1&b="2"`);
  const back = await browser.logIn(page, "jdoe");
  assert.equal(new URL(back.url).pathname, "/auth/callback");
  assert.match(back.text, /content="0;url=https:\/\/shop\.test\/orders\?a=1&amp;b=%222%22"/);
  assert.equal((await browser.send(`${shop}/`)).status, 200);
});

test("userinfo adds its claims to those of the ID token", async () => {
  const shopper = openShop({ userinfo: true, subject: "email" });
  assert.equal(JSON.parse((await loggedIn(shopper)).text).subject, "jdoe@example.com");
  assert.ok(issuer.requests.includes("/me"));
});

test("an issuer whose metadata are those of another is not used", async () => {
  const shopper = openShop();
  issuer.intercept = (request, response) => {
    if (request.url !== "/.well-known/openid-configuration") return false;
    response.setHeader("content-type", "application/json");
    const evil = "https://evil.example";
    response.end(JSON.stringify({ issuer: evil, authorization_endpoint: `${evil}/auth` }));
    return true;
  };
  try {
    assert.equal((await shopper.browser.open(`${shop}/`)).text, "AUTH_UNAVAILABLE");
  } finally {
    issuer.intercept = () => false;
  }
  await shopper.providers.logged("a login cannot begin: the metadata of the issuer: ");
  assert.equal((await loggedIn(shopper)).status, 200);
});

test("an ID token with a signature of somebody else logs nobody in", async () => {
  const shopper = openShop();
  const url = await callbackUrl(shopper, "jdoe");
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
  issuer.intercept = (request, response) => {
    if (request.url !== "/jwks") return false;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ keys: [{ ...keys, use: "sig", alg: "RS256" }] }));
    return true;
  };
  try {
    assert.equal((await shopper.browser.open(url.href)).text, "LOGIN_INVALID");
  } finally {
    issuer.intercept = () => false;
  }
  assert.equal(cookieOf(shopper.browser), undefined);
});

test("a response of the issuer that is larger than any should be is not read", async () => {
  const shopper = openShop();
  issuer.intercept = (request, response) => {
    if (request.url !== "/.well-known/openid-configuration") return false;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ issuer: issuer.url, more: "a".repeat(300 * 1024) }));
    return true;
  };
  try {
    assert.equal((await shopper.browser.open(`${shop}/`)).text, "AUTH_UNAVAILABLE");
  } finally {
    issuer.intercept = () => false;
  }
  await shopper.providers.logged("is larger than 262144 bytes");
});

test("claims keep the digits of their numbers, through the cookie too", async () => {
  const shopper = openShop({ userinfo: true, claims: ["id"], claims_to_metadata: { id: "x-id" } });
  issuer.intercept = (request, response) => {
    if (request.url !== "/me") return false;
    response.setHeader("content-type", "application/json");
    response.end('{"sub":"jdoe","id":9007199254740993}');
    return true;
  };
  try {
    assert.equal((await loggedIn(shopper)).status, 200);
  } finally {
    issuer.intercept = () => false;
  }
  const cookie = `__Host-protogate=${cookieOf(shopper.browser)}`;
  const { metadata } = await shopper.providers.ask({ headers: { cookie } });
  assert.deepEqual(metadata, [["x-id", "9007199254740993"]]);
});

test("userinfo of somebody else gives no session", async () => {
  const shopper = openShop({ userinfo: true });
  issuer.intercept = (request, response) => {
    if (request.url !== "/me") return false;
    response.setHeader("content-type", "application/json");
    response.end('{"sub":"admin"}');
    return true;
  };
  try {
    assert.equal((await loggedIn(shopper)).text, "LOGIN_INVALID");
  } finally {
    issuer.intercept = () => false;
  }
});

test("with a domain the session is for all hosts below it, and what belongs to a login is not", async () => {
  const { browser, reach } = openShop({ cookie: { domain: "shop.test", name: "id" } });
  const lines: string[] = [];
  const watching: Reach = async (url, request) => {
    const response = await reach(url, request);
    lines.push(...response.headers.getSetCookie().map(line => line.replace(/=[\w-]{20,}/, "=…")));
    return response;
  };
  const watched = new TestBrowser({ [shop]: watching, [issuer.url]: reachAt(issuer.url) });
  await watched.logIn(await watched.open(`${shop}/`), "jdoe");
  assert.deepEqual(lines, [
    "__Host-id-login=…; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure",
    "__Host-id-login=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
    "__Secure-id=…; Path=/; Domain=shop.test; Max-Age=3600; HttpOnly; SameSite=Lax; Secure",
  ]);
  assert.equal(cookieOf(browser), undefined);
});
