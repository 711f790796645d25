import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HeaderList } from "../../src/net/headers.js";
import type { CorsConfig } from "../../src/pipeline/config.js";
import { createCors } from "../../src/pipeline/response-headers.js";
import { isHeaderValue } from "../../src/server/response-writer.js";
import { Workspace } from "../config/workspace.js";

const app = "https://app.example.com";

function config(more: Partial<CorsConfig> = {}): CorsConfig {
  return {
    origins: [app, "https://*.preview.example.com", "http://localhost:5173"],
    allow_headers: ["authorization", "content-type"],
    expose_headers: ["x-request-id"],
    credentials: false,
    max_age: 600_000,
    ...more,
  };
}

const plain = (headers: HeaderList | undefined) =>
  headers === undefined ? undefined : Object.fromEntries(headers);

test("without configuration replies say nothing of other origins", () => {
  const cors = createCors(undefined);
  assert.deepEqual(cors.headers(app), []);
  assert.equal(cors.preflight(app, "GET", ["GET"]), undefined);
});

test("a listed origin may read the response, and Vary names the origin", () => {
  assert.deepEqual(plain(createCors(config()).headers(app)), {
    vary: "Origin",
    "access-control-allow-origin": app,
    "access-control-expose-headers": "x-request-id",
  });
  const headers = createCors(config({ credentials: true, expose_headers: [] })).headers(app);
  assert.deepEqual(plain(headers), {
    vary: "Origin",
    "access-control-allow-origin": app,
    "access-control-allow-credentials": "true",
  });
});

for (const origin of [
  undefined,
  "null",
  "https://app.example.com:8443",
  "http://app.example.com",
  "https://APP.example.com",
  "https://app.example.com/",
  "https://app.example.com.evil.net",
  "https://evil-app.example.com",
  "https://example.com",
  `${app}, ${app}`,
  "*",
  "",
  "https://preview.example.com",
  "https://.preview.example.com",
  "https://a..preview.example.com",
  "https://evil.net/.preview.example.com",
  "https://evil.net#.preview.example.com",
  "https://user@a.preview.example.com",
  "https://evil.net:80.preview.example.com",
  "https://a.preview.example.com:444",
  "http://a.preview.example.com",
]) {
  test(`a reply to the origin ${origin} only says that it depends on the origin`, () => {
    const cors = createCors(config());
    assert.deepEqual(plain(cors.headers(origin)), { vary: "Origin" });
    assert.equal(cors.preflight(origin, "GET", ["GET"]), undefined);
  });
}

for (const origin of [
  "https://a.preview.example.com",
  "https://pr-12.team_a.preview.example.com",
  "http://localhost:5173",
]) {
  test(`the origin ${origin} is one of those that are listed`, () => {
    assert.equal(plain(createCors(config()).headers(origin))?.["access-control-allow-origin"], origin);
  });
}

test("null may be listed", () => {
  assert.equal(
    plain(createCors(config({ origins: ["null"] })).headers("null"))?.["access-control-allow-origin"],
    "null",
  );
});

test("where all origins may read, replies are the same for all of them", () => {
  const cors = createCors(config({ origins: ["*"] }));
  const all = { "access-control-allow-origin": "*", "access-control-expose-headers": "x-request-id" };
  for (const origin of [undefined, "null", app]) assert.deepEqual(plain(cors.headers(origin)), all);
});

test("a preflight lists the methods of the path, HEAD with GET, and the configured headers", () => {
  assert.deepEqual(plain(createCors(config()).preflight(app, "DELETE", ["GET", "POST"])), {
    "access-control-allow-methods": "GET, HEAD, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
  });
});

test("configured methods narrow those of the path", () => {
  const cors = createCors(config({ methods: ["GET", "PUT"], allow_headers: [] }));
  assert.deepEqual(plain(cors.preflight(app, "POST", ["GET", "POST"])), {
    "access-control-allow-methods": "GET",
    "access-control-max-age": "600",
  });
  assert.deepEqual(plain(cors.preflight(app, "POST", ["POST"])), { "access-control-max-age": "600" });
});

test("a preflight of a path that takes any method allows the requested one", () => {
  const cors = createCors(config());
  assert.equal(plain(cors.preflight(app, "PURGE", ["*"]))?.["access-control-allow-methods"], "PURGE");
  assert.equal(plain(cors.preflight(app, "a\r\nb: c", ["*"]))?.["access-control-allow-methods"], undefined);
});

test("OPTIONS without a method, or for a path without routes, is no preflight", () => {
  const cors = createCors(config());
  assert.equal(cors.preflight(app, undefined, ["GET"]), undefined);
  assert.equal(cors.preflight(app, "GET", []), undefined);
});

test("a reply to any client names the client's own origin or none, in a value that a header may carry", () => {
  const host = fc.constantFrom(
    "app",
    "a.preview",
    "preview",
    "evil",
    "localhost:5173",
    "a b",
    "é",
    "a\r\nx: y",
  );
  const origin = fc.oneof(
    fc.string(),
    fc
      .tuple(
        fc.constantFrom("https", "http", "ftp"),
        host,
        fc.constantFrom(".example.com", ".evil.net", "", ":1"),
      )
      .map(([scheme, name, rest]) => `${scheme}://${name}${rest}`),
  );
  const cors = createCors(config({ credentials: true }));
  fc.assert(
    fc.property(origin, fc.string(), fc.array(fc.constantFrom("GET", "PUT", "*")), (from, method, allow) => {
      const headers = [...cors.headers(from), ...(cors.preflight(from, method, allow) ?? [])];
      assert.ok(headers.every(([, value]) => isHeaderValue(value)));
      assert.ok([undefined, from].includes(plain(headers)?.["access-control-allow-origin"]));
    }),
  );
});

const base = `listeners: { http: { address: ":0" } }\nupstreams: { a: { targets: ["b:1"] } }\n`;
const mistakes: Readonly<Record<string, readonly [yaml: string, problems: readonly string[]]>> = {
  "origins that no browser sends": [
    `http: { cors: { origins: [app.example.com, "https://app.example.com/", "HTTPS://App.example.com:443", "https://*", "https://a.*.com", "https://*.Example.com/x"] } }`,
    [
      'gateway.yaml:3:27: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "app.example.com" (at http.cors.origins[0])',
      'gateway.yaml:3:44: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "https://app.example.com/" (at http.cors.origins[1]); did you mean "https://app.example.com"?',
      'gateway.yaml:3:72: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "HTTPS://App.example.com:443" (at http.cors.origins[2]); did you mean "https://app.example.com"?',
      'gateway.yaml:3:103: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "https://*" (at http.cors.origins[3])',
      'gateway.yaml:3:116: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "https://a.*.com" (at http.cors.origins[4])',
      'gateway.yaml:3:135: error: expected an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com, found "https://*.Example.com/x" (at http.cors.origins[5]); did you mean "https://*.example.com"?',
    ],
  ],
  "credentials for everybody": [
    `http: { cors: { origins: ["*", "null"], credentials: true } }`,
    [
      'gateway.yaml:3:27: error: "*" is every page, which credentials: true does not go with (at http.cors.origins[0])',
      'gateway.yaml:3:32: error: "null" is every sandboxed page, which credentials: true does not go with (at http.cors.origins[1])',
    ],
  ],
  "no origin": [
    "http: { cors: { origins: [] } }",
    ["gateway.yaml:3:17: error: expected at least 1 item, found 0 (at http.cors.origins)"],
  ],
  "metadata that says the same again": [
    `services: [{ service: a.B, upstream: a, metadata: { response: [x-frame-options, x-content-type-options] }, methods: { C: { metadata: { response: [access-control-allow-origin] } } } }]
http: { cors: { origins: ["https://a.b"] }, security_headers: { X-Frame-Options: DENY } }`,
    [
      'gateway.yaml:3:64: error: "x-frame-options" is sent by http.security_headers already; set it to "" there (at services[0].metadata.response[0])',
      'gateway.yaml:3:81: error: "x-content-type-options" is sent by http.security_headers already; set it to "" there (at services[0].metadata.response[1])',
      'gateway.yaml:3:147: error: "access-control-allow-origin" cannot be passed on; http.cors writes it (at services[0].methods.C.metadata.response[0])',
    ],
  ],
  "security headers that are none": [
    `http: { security_headers: { Content-Type: text/plain, access-control-allow-origin: "*", x-a: "a\\nb", "a b": c } }`,
    [
      'gateway.yaml:3:43: error: "Content-Type" is not for this list; the gateway writes it itself (at http.security_headers.Content-Type)',
      'gateway.yaml:3:84: error: "access-control-allow-origin" is not for this list; the gateway writes it itself (at http.security_headers.access-control-allow-origin)',
      'gateway.yaml:3:94: error: expected a value of printable ASCII characters, found "a b" (at http.security_headers.x-a)',
      'gateway.yaml:3:102: error: "a b" cannot be a name here; expected a header name of letters, digits, -, _ and . (at http.security_headers["a b"])',
    ],
  ],
};

for (const [what, [yaml, problems]] of Object.entries(mistakes)) {
  test(`the loader says what is wrong with ${what}`, () => {
    assert.deepEqual(new Workspace().problems(base + yaml), problems);
  });
}

test("origins of applications, of hosts below a domain and of any port may be listed", () => {
  const origins = `["capacitor://localhost", "chrome-extension://abcdef", "https://*.example.com:8443", "http://[::1]:80801", "null"]`;
  const problems = new Workspace().problems(`${base}http: { cors: { origins: ${origins} } }`);
  assert.deepEqual(
    problems.map(each => each.slice(0, 41)),
    ["gateway.yaml:3:111: error: expected an or"],
  );
});
