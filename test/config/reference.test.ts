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
  'gateway.yaml:32:5: error: "circuit_breaker" is not available in this version (at upstreams.chat.circuit_breaker)',
  'gateway.yaml:33:5: error: "outlier" is not available in this version (at upstreams.chat.outlier)',
  'gateway.yaml:44:5: error: "compat" is not available in this version (at services[0].compat)',
  'gateway.yaml:53:98: error: "prefix" is not available in this version (at services[0].metadata.prefix)',
  'gateway.yaml:65:3: error: "split" is not available in this version (at http.split)',
];

test("the reference file gives one error for each unavailable key and no other", () => {
  const workspace = new Workspace(Object.fromEntries([...files, "routes/none.yaml"].map(name => [name, ""])));
  assert.deepEqual(workspace.problems(reference, environment), unavailable);
});

test("the reference file without the files that it names gives an error for each of them too", () => {
  const missing = new Workspace()
    .problems(reference, environment)
    .filter(problem => !unavailable.includes(problem) && !problem.includes("no file matches"))
    .map(problem => /"(.*)" does not exist/.exec(problem)?.[1]);
  assert.deepEqual(missing.sort(), [...files.map(name => name.replace("/a.proto", ""))].sort());
});

test("list forms, schemes of targets and hashing that the reference names are not available, each at its place", () => {
  const workspace = new Workspace();
  const yaml = `
listeners:
  http: { address: ":0" }
upstreams:
  a: { targets: ["srv:///a.internal", "kubernetes:///ns/svc:1", { target: "a:1", weight: 2 }] }
  b: { targets: ["b:1"], balancing: { hash: "header:x-user" } }
`;
  const target = "a target such as dns:///host:50051, host:50051, [::1]:50051 or unix:/path";
  assert.deepEqual(workspace.problems(yaml), [
    `gateway.yaml:5:18: error: "srv:///a.internal" is not available in this version; expected ${target} (at upstreams.a.targets[0])`,
    `gateway.yaml:5:39: error: "kubernetes:///ns/svc:1" is not available in this version; expected ${target} (at upstreams.a.targets[1])`,
    `gateway.yaml:5:65: error: a mapping is not available in this version; expected ${target} (at upstreams.a.targets[2])`,
    "gateway.yaml:6:26: error: a mapping is not available in this version; expected round_robin, least_request or pick_first (at upstreams.b.balancing)",
  ]);
});
