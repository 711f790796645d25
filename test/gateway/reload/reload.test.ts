import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { changedSettings } from "../../../src/gateway/reload/reload-status.js";
import { echoProto } from "../echo.js";
import { echo, send, startBackend, startTestGateway, type TestGateway } from "../harness.js";

describe("reloads that operators request and read about", () => {
  let backend: Awaited<ReturnType<typeof startBackend>>;
  let gateway: TestGateway;
  const yaml = (service: string, rest: string): string => `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo${service} }]
${rest}
`;
  const config = async () => (await send(`${gateway.admin}/config`)).json;
  const reload = () => send(`${gateway.admin}/reload`, { method: "POST" });
  const status = async (path: string): Promise<number> => (await send(gateway.url + path)).status;

  before(async () => {
    backend = await startBackend({ "/test.v1.Echo/Get": echo });
    gateway = await startTestGateway(yaml("", ""), { "protos/echo.proto": echoProto });
  });
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  it("POST /reload loads the configuration, and reports which settings and routes have changed", async () => {
    const first = await config();
    assert.equal(first.last_reload, null);
    assert.match(first.hash, /^[0-9a-f]{64}$/);
    gateway.write("gateway.yaml", yaml(", prefix: /v2, timeout: 3s", "server: { drain: 1s }"));
    const { status: code, json } = await reload();
    assert.equal(code, 200);
    const { at, routes_added, routes_removed, ...report } = json;
    assert.ok(Date.parse(at) > 0);
    assert.deepEqual(report, {
      trigger: "admin",
      result: "success",
      changed: ["services[0].prefix", "services[0].timeout", "server.drain"],
    });
    assert.ok(routes_added.includes("GET /v2/v1/items/{id}"), routes_added.join());
    assert.ok(routes_removed.includes("GET /v1/items/{id}"), routes_removed.join());
    const second = await config();
    assert.notEqual(second.hash, first.hash);
    assert.deepEqual(second.last_reload, json);
    assert.equal(second.config.server.drain, 1000);
    assert.equal(await status("/v2/v1/items/a"), 200);
    const warned = gateway.log.find(line => Array.isArray(line.routes));
    assert.deepEqual(warned?.routes, routes_removed);
  });

  it("POST /reload of a configuration with errors is 422 with each of them, and /readyz reports it", async () => {
    const kept = await config();
    gateway.write("gateway.yaml", yaml("", "server: { drian: 1s }"));
    const { status: code, json } = await reload();
    assert.equal(code, 422);
    assert.equal(json.result, "failure");
    const metrics = (await send(`${gateway.admin}/metrics`)).text;
    assert.match(metrics, /^protogate_config_last_reload_successful 0$/m);
    assert.match(metrics, new RegExp(`^protogate_config_info\\{hash="${kept.hash}"\\} 1$`, "m"));
    assert.match(json.error, /gateway\.yaml:\d+:\d+: error: unknown key "drian".*did you mean "drain"/);
    const { hash, loaded_at, last_reload } = await config();
    assert.deepEqual([hash, loaded_at], [kept.hash, kept.loaded_at]);
    assert.deepEqual(last_reload, json);
    const ready = await send(`${gateway.admin}/readyz`);
    assert.equal(ready.status, 200);
    assert.match(ready.json.checks.configuration.message, /^loaded at .*; the reload at .* failed$/);
  });

  it("with breaking: refuse a reload that takes routes away keeps the configuration before", async () => {
    gateway.write("gateway.yaml", yaml("", "reload: { breaking: refuse }"));
    const { status: code, json } = await reload();
    assert.equal(code, 422);
    assert.match(json.error, /gateway\.yaml:6:21: error: clients would lose .*GET \/v2\/v1\/items\/\{id\}/);
    assert.equal(await status("/v2/v1/items/a"), 200);
    gateway.write("gateway.yaml", yaml("", "reload: { breaking: allow }"));
    const warnings = gateway.log.filter(line => Array.isArray(line.routes)).length;
    assert.equal((await reload()).status, 200);
    assert.equal(await status("/v1/items/a"), 200);
    assert.equal(gateway.log.filter(line => Array.isArray(line.routes)).length, warnings);
  });

  it("pages of the web cannot request a reload, and another method is refused", async () => {
    const foreign = await send(`${gateway.admin}/reload`, {
      method: "POST",
      headers: { origin: "https://evil.example" },
    });
    assert.equal(foreign.status, 421);
    assert.equal((await send(`${gateway.admin}/reload`)).status, 405);
  });

  it("a reload changes the level of the log", async () => {
    const requests = (): number => gateway.log.filter(line => line.route !== undefined).length;
    gateway.write("gateway.yaml", yaml("", "telemetry: { log: { level: warn } }"));
    assert.equal((await reload()).status, 200);
    const before = requests();
    assert.equal(await status("/v1/items/a"), 200);
    assert.equal(requests(), before);
    gateway.write("gateway.yaml", yaml("", ""));
    assert.equal((await reload()).status, 200);
    const told = gateway.logged(line => line.path === "/v1/items/b");
    assert.equal(await status("/v1/items/b"), 200);
    await told;
  });

  it("with watch: true a changed proto, and a changed configuration, are loaded by themselves", async () => {
    gateway.write("gateway.yaml", yaml("", "reload: { watch: true }"));
    assert.equal((await reload()).status, 200);
    const reloaded = (fits: (line: Record<string, unknown>) => boolean) =>
      gateway.logged(line => line.msg === "configuration reloaded" && line.trigger === "watch" && fits(line));
    const added = (route: string) => (line: Record<string, unknown>) =>
      (line.routes_added as string[]).some(each => each.includes(route));
    gateway.write("protos/echo.proto", echoProto.replaceAll('"/v1/items/{id}"', '"/v1/things/{id}"'));
    await reloaded(added("/v1/things/{id}"));
    assert.equal(await status("/v1/things/a"), 200);
    gateway.write("gateway.yaml", "listeners: [");
    await gateway.logged(
      line => /^reload failed/.test(String(line.msg)) && /not YAML/.test(String(line.error)),
    );
    gateway.write("gateway.yaml", yaml(", prefix: /watched", "reload: { watch: true }"));
    await reloaded(added("/watched/v1/things/{id}"));
    const include = "reload: { watch: true }\ninclude: [./more/*.yaml]";
    gateway.write("gateway.yaml", yaml(", prefix: /globs", include));
    await reloaded(added("/globs/v1/things/{id}"));
    const rule = (path: string): string =>
      `http: { rules: [{ selector: test.v1.Echo.Get, get: "${path}" }] }`;
    gateway.write("more/a.yaml", rule("/included/{id}"));
    await reloaded(added("/included/{id}"));
    gateway.write("more/a.yaml", rule("/changed/{id}"));
    await reloaded(added("/changed/{id}"));
    // A file that came with a configuration which cannot be compiled is watched as well.
    const unknown = rule("/b/{id}").replace("Echo.Get", "Echo.Got");
    const failed = gateway.logged(({ error }) => String(error).includes("Echo.Got"));
    gateway.write("more/b.yaml", unknown);
    await failed;
    gateway.write("more/b.yaml", rule("/b/{id}").replace("Echo.Get", "Echo.Create"));
    await reloaded(added("/globs/b/{id}"));
    gateway.write("gateway.yaml", yaml("", ""));
    await reloaded(added("GET /v1/things/{id}"));
  });
});

it("settings that differ are listed by path, whole lists where their lengths differ, and 100 at most", () => {
  const before = { a: { b: 1, c: [1, 2], "x y": 0 }, d: [{ e: 1 }], f: null };
  const after = { a: { b: 2, c: [1, 2, 3], "x y": 1 }, d: [{ e: 2, g: 3 }], f: {} };
  assert.deepEqual(changedSettings(before, after), ["a.b", "a.c", 'a["x y"]', "d[0].e", "d[0].g", "f"]);
  assert.deepEqual(changedSettings(before, structuredClone(before)), []);
  const many = (value: number) => Object.fromEntries(Array.from({ length: 150 }, (_, k) => [`k${k}`, value]));
  assert.equal(changedSettings(many(1), many(2)).length, 100);
});
