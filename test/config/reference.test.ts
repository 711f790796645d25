import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Workspace } from "./workspace.js";

const reference = readFileSync(new URL("./gateway.reference.yaml", import.meta.url), "utf8");
const files = [
  "tls/cert.pem",
  "tls/key.pem",
  "tls/ca.pem",
  "tls/client.pem",
  "tls/client.key",
  "protos/a.proto",
  "third_party/a.proto",
  "build/api.binpb",
  "secrets/api-keys.yaml",
];
const environment = { ADMIN_TOKEN: "t", OPENIM_SECRET: "s", LIVEKIT_API_KEY: "k", LIVEKIT_API_SECRET: "s" };

const unavailable = [
  'gateway.yaml:7:55: error: "http2" is not available in this version (at listeners.http.http2)',
  'gateway.yaml:7:117: error: "min_version" is not available in this version (at listeners.http.tls.min_version)',
  'gateway.yaml:10:40: error: "token" is not available in this version (at listeners.admin.token)',
  'gateway.yaml:11:1: error: "include" is not available in this version (at include)',
  'gateway.yaml:32:5: error: "circuit_breaker" is not available in this version (at upstreams.chat.circuit_breaker)',
  'gateway.yaml:33:5: error: "outlier" is not available in this version (at upstreams.chat.outlier)',
  'gateway.yaml:44:5: error: "compat" is not available in this version (at services[0].compat)',
  'gateway.yaml:46:5: error: "protocols" is not available in this version (at services[0].protocols)',
  'gateway.yaml:47:5: error: "stream" is not available in this version (at services[0].stream)',
  'gateway.yaml:53:98: error: "prefix" is not available in this version (at services[0].metadata.prefix)',
  'gateway.yaml:64:3: error: "hosts" is not available in this version (at http.hosts)',
  'gateway.yaml:65:3: error: "split" is not available in this version (at http.split)',
  'gateway.yaml:66:3: error: "compression" is not available in this version (at http.compression)',
  'gateway.yaml:67:3: error: "uploads" is not available in this version (at http.uploads)',
  'gateway.yaml:71:3: error: "docs" is not available in this version (at http.docs)',
  'gateway.yaml:119:3: error: "tracing" is not available in this version (at telemetry.tracing)',
  'gateway.yaml:122:1: error: "reload" is not available in this version (at reload)',
];

test("the reference file gives one error for each unavailable key and no other", () => {
  const workspace = new Workspace(Object.fromEntries(files.map(name => [name, ""])));
  assert.deepEqual(workspace.problems(reference, environment), unavailable);
});

test("the reference file without the files that it names gives an error for each of them too", () => {
  const missing = new Workspace()
    .problems(reference, environment)
    .filter(problem => !unavailable.includes(problem))
    .map(problem => /"(.*)" does not exist/.exec(problem)?.[1]);
  assert.deepEqual(missing.sort(), [...files.map(name => name.replace("/a.proto", ""))].sort());
});

test("values of the reference that are unavailable elsewhere are reported at their place", () => {
  const workspace = new Workspace();
  const yaml = `
listeners: { http: { address: ":0" } }
upstreams:
  chat: { targets: ["a:1"], protocol: trpc }
server: { workers: 4 }
`;
  assert.deepEqual(workspace.problems(yaml), [
    'gateway.yaml:4:39: error: "trpc" is not available in this version; expected grpc or http (at upstreams.chat.protocol)',
    "gateway.yaml:5:20: error: 4 is not available in this version; expected 1 (at server.workers)",
  ]);
});
