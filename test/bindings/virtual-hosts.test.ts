import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDiagnostic, LoadError } from "../../src/config/diagnostic.js";
import { compile } from "../../src/gateway/compile.js";
import { readConfig } from "../../src/gateway/read-config.js";
import type { Rooms } from "../../src/gateway/realtime-settings.js";
import { createRuntime } from "../../src/gateway/runtime.js";
import { createPace } from "../../src/net/pace.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { Workspace } from "../config/workspace.js";

const proto = `syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string id = 1; }
service A {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{id}" }; }
}
service B {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{id}" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/b" }; }
}
`;
const workspace = new Workspace({ "protos/t.proto": proto });

const yaml = (hosts: string, listeners = "http: { address: ':0' }", services = "t.A, t.B"): string => `
listeners: { ${listeners} }
descriptors: [{ protos: ./protos }]
upstreams: { u: { targets: ["127.0.0.1:1"] }, old: { protocol: http, targets: ["http://127.0.0.1:1"] } }
services: [${services
  .split(", ")
  .map(name => `{ service: ${name}, upstream: u }`)
  .join(", ")}]
http: { proxy: [{ prefix: /old, upstream: old }], docs: { path: /docs }, hosts: ${hosts} }
`;

const noRooms: Rooms = {
  get realtime(): never {
    throw new Error("nothing is served");
  },
  get fallback(): never {
    throw new Error("nothing is served");
  },
};

/** What compiling says, as people see it. */
async function problems(text: string): Promise<string[]> {
  const file = workspace.write("gateway.yaml", text);
  const show = (each: Parameters<typeof formatDiagnostic>[0]): string =>
    formatDiagnostic(each).replace(/^.*gateway\.yaml/, "gateway.yaml");
  try {
    const loaded = readConfig(file, {});
    const { diagnostics } = await compile(loaded, new Map(), {
      runtime: createRuntime(loaded.config, createLogger("silent")),
      rooms: noRooms,
      authenticators: () => assert.fail(),
      channel: () => assert.fail(),
      pace: createPace(),
      comments: false,
    });
    return diagnostics.map(show);
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return error.diagnostics.map(show);
  }
}

test("two services may have one path where no host serves both", async () => {
  const hosts = "{ a.test: { services: [t.A] }, b.test: { services: [t.B] }, '*': { routes: [/old/**] } }";
  assert.deepEqual(await problems(yaml(hosts)), []);
});

test("two routes with one path at one host are an error that names the host", async () => {
  const hosts = "{ a.test: { services: [t.A] }, '*.test': { services: [t.*] , routes: [/old/**] } }";
  assert.match(
    (await problems(yaml(hosts.replace("t.*", "t.**"))))[0] ?? "",
    /GET \/v1\/\{id\} is bound twice at the host \*\.test: by .*give one service a prefix/,
  );
});

test("hosts that name nothing, the same host twice, and what no host serves", async () => {
  for (const [hosts, ...expected] of [
    ["{}", "error: no host is served; expected at least one, or no http.hosts (at http.hosts)"],
    [
      "{ a.test: {}, A.TEST.: {} }",
      'error: "A.TEST." is the same host as "a.test" (at http.hosts["A.TEST."])',
    ],
    [
      "{ 'a.test:80': {} }",
      /error: "a\.test:80" is no host; expected a host name such as api\.example\.com, \*\.example\.com, an IP address/,
    ],
    [
      "{ 'https://a.test': {} }",
      /error: "https:\/\/a\.test" cannot be a name here; expected a host name such as/,
    ],
    [
      "{ a.test: { services: [] } }",
      'error: nothing is served here; expected services or routes, or {} for everything (at http.hosts["a.test"])',
    ],
    [
      "{ a.test: { routes: [/a**] } }",
      'error: "**" is a whole segment; within a segment use "*" (at http.hosts["a.test"].routes[0])',
    ],
    [
      "{ a.test: { services: [t.A, t.C], routes: [/old/**, /b, /v1/x, /nowhere] } }",
      'error: no service that is exposed is named by "t.C" (at http.hosts["a.test"].services[1]); did you mean "t.A"?',
      'error: no route is named by "/v1/x", which is but a part of /v1/{id} (at http.hosts["a.test"].routes[2])',
      'error: no route is named by "/nowhere" (at http.hosts["a.test"].routes[3])',
      "warning: no host serves GET /v1/{id}, POST /t.B/Get (at http.hosts)",
    ],
    [
      "{ a.test: { services: [t.A], docs: false } }",
      "warning: no host serves GET /v1/{id}, PUT /b, POST /t.B/Get, POST /t.B/Put, * /old/** (at http.hosts)",
    ],
  ] as const) {
    const services = hosts.includes("t.C") || hosts.includes("t.A") ? "t.A, t.B" : "t.A";
    const found = (await problems(yaml(hosts, undefined, services))).map(each =>
      each.replace(/^gateway\.yaml:\d+:\d+: /, ""),
    );
    if (found.length !== expected.length) assert.deepEqual(found, expected, hosts);
    found.forEach((problem, index) => {
      const wanted = expected[index] as string | RegExp;
      if (typeof wanted === "string") assert.equal(problem, wanted);
      else assert.match(problem, wanted);
    });
  }
});

test("hosts of listeners that http.hosts does not have are an error, its hosts that no listener has a warning", async () => {
  const listeners = (hosts: string): string =>
    `http: [{ name: one, address: ':0', hosts: ${hosts} }, { name: two, address: ':0', redirect_to_https: true }]`;
  const hosts = "{ a.test: {}, '*.b.test': {} }";
  const found = async (list: string): Promise<string[]> =>
    (await problems(yaml(hosts, listeners(list), "t.A"))).map(each =>
      each.replace(/^gateway\.yaml:\d+:\d+: /, ""),
    );
  assert.deepEqual(await found("[a.test, x.b.test]"), []);
  assert.deepEqual(await found("['*.test']"), []);
  assert.deepEqual(await found("[a.test, c.test]"), [
    'error: http.hosts serves nothing at "c.test"; expected a host of it (at listeners.http[0].hosts[1]); did you mean "a.test"?',
    'warning: no listener of listeners.http has "*.b.test" among its hosts (at http.hosts["*.b.test"])',
  ]);
});
