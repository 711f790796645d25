import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type OriginRequest, originMatcher, RequestOrigins } from "../../src/auth/request-origins.js";
import { GatewayError } from "../../src/status/failure.js";

interface Sent {
  readonly [header: string]: string;
}

const request = (headers: Sent, { method = "POST", encrypted = false } = {}): OriginRequest => ({
  method,
  encrypted,
  header: name => (Object.hasOwn(headers, name) ? headers[name] : undefined),
});

const allows = (act: () => void): boolean => {
  try {
    act();
    return true;
  } catch (error) {
    assert.ok(error instanceof GatewayError && error.failure.reason === "ORIGIN_NOT_ALLOWED");
    return false;
  }
};

const host = "api.example.com";

test("an origin is listed exactly or by its family, and neither * nor null lists any", () => {
  const listed = originMatcher(["https://app.example.com", "https://*.preview.example.com", "*", "null"]);
  assert.ok(listed("https://app.example.com"));
  assert.ok(listed("https://a.b.preview.example.com"));
  for (const origin of [
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://preview.example.com",
    "https://evil.example/.preview.example.com",
    "https://.preview.example.com",
    "null",
    "*",
    "https://evil.example",
  ])
    assert.ok(!listed(origin), origin);
});

test("cookies count for pages of the own origin and of listed ones, never through *", () => {
  for (const origins of [[], ["*"], ["https://app.example.com"], ["https://app.example.com", "*", "null"]]) {
    const rules = new RequestOrigins(origins, 0);
    const count = (origin: string) => rules.cookiesCount(request({ host, origin }));
    assert.ok(count(`http://${host}`));
    assert.equal(count("https://app.example.com"), origins.includes("https://app.example.com"));
    for (const origin of ["https://evil.example", "null", "", "%", `http://${host}.evil.example`, "file://"])
      assert.ok(!count(origin), origin);
  }
});

test("cookies of a request without Origin count unless another site has caused it", () => {
  const rules = new RequestOrigins(["*"], 0);
  const count = (headers: Sent, method = "GET") =>
    rules.cookiesCount(request({ host, ...headers }, { method }));
  const site = (name: string, more: Sent = {}): Sent => ({ "sec-fetch-site": name, ...more });
  const link = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  assert.ok(count({}));
  assert.ok(count({}, "POST"));
  assert.ok(count(site("same-origin"), "DELETE"));
  assert.ok(count(site("none")));
  for (const other of ["same-site", "cross-site", "new-value", ""]) {
    assert.ok(!count(site(other)), other);
    assert.ok(count(site(other, link)), other);
    assert.ok(!count(site(other, link), "POST"), other);
    assert.ok(!count(site(other, { ...link, "sec-fetch-dest": "iframe" })), other);
    assert.ok(!count(site(other, { ...link, "sec-fetch-mode": "no-cors" })), other);
  }
});

test("the own origin is the requested scheme and host that trusted proxies report", () => {
  const own = (origin: string, headers: Sent, hops: number, encrypted = false): boolean =>
    new RequestOrigins([], hops).cookiesCount(request({ origin, ...headers }, { encrypted }));
  const forwarded = { host: "10.0.0.7:8080", "x-forwarded-host": host, "x-forwarded-proto": "https" };
  assert.ok(own(`https://${host}`, forwarded, 1));
  assert.ok(!own(`http://${host}`, forwarded, 1));
  assert.ok(!own(`https://${host}`, forwarded, 0));
  assert.ok(!own("https://evil.example", { ...forwarded, "x-forwarded-host": `evil.example, ${host}` }, 1));
  assert.ok(own(`https://${host}`, { "x-forwarded-host": `evil.example, ${host}` }, 1));
  assert.ok(own(`https://${host}`, { host: `${host}:443` }, 0, true));
  assert.ok(own(`http://${host}`, { host: host.toUpperCase() }, 0));
  assert.ok(own("http://[::1]:8080", { host: "[::1]:8080" }, 0));
  assert.ok(own(`https://${host}`, { host }, 0), "TLS may end in front without being told of");
  assert.ok(!own(`http://${host}`, { host }, 0, true), "what is in the clear can be changed on its way");
  assert.ok(!own(`http://${host}:8080`, { host }, 0));
  assert.ok(!own(`http://${host}`, {}, 0));
  assert.ok(!own("http://evil.example", { host: "user@evil.example" }, 0));
});

test("a body without type is taken from everybody but pages of origins that are neither own nor listed", () => {
  const rules = new RequestOrigins(["https://app.example.com", "*"], 0);
  const takes = (headers: Sent): boolean => allows(() => rules.requireForBody(request({ host, ...headers })));
  assert.ok(takes({}));
  assert.ok(takes({ origin: `http://${host}` }));
  assert.ok(takes({ origin: "https://app.example.com" }));
  for (const origin of ["https://evil.example", "null", ""]) assert.ok(!takes({ origin }), origin);
});

test("sockets are opened by listed pages, by any under *, and without a list by those of the own origin", () => {
  const opens = (origins: string[], origin?: string): boolean =>
    allows(() => {
      const headers = origin === undefined ? { host } : { host, origin };
      new RequestOrigins(origins, 0).requireForSocket(request(headers, { method: "GET" }));
    });
  for (const origins of [[], ["*"], ["https://app.example.com"]]) assert.ok(opens(origins));
  assert.ok(opens([], `http://${host}`));
  assert.ok(!opens([], "https://app.example.com"));
  assert.ok(opens(["https://app.example.com"], "https://app.example.com"));
  assert.ok(!opens(["https://app.example.com"], "https://evil.example"));
  assert.ok(opens(["*"], "https://evil.example"));
});

test("no spelling of another host is the own origin", () => {
  const odd = fc.string({ unit: fc.constantFrom(..."apiexmlco.:/@%#?\\[]-_ \t8"), maxLength: 30 });
  fc.assert(
    fc.property(fc.oneof(odd, fc.webAuthority(), fc.string()), text => {
      const rules = new RequestOrigins([], 0);
      const own = rules.cookiesCount(request({ host, origin: `https://${text}` }));
      assert.equal(own, text === host);
    }),
  );
});
