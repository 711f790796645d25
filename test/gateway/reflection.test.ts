import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Server, ServerCredentials, ServerInterceptingCall } from "@grpc/grpc-js";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { startAdminListener } from "../../src/gateway/admin-listener.js";
import { readConfig } from "../../src/gateway/read-config.js";
import { Reloads } from "../../src/gateway/reload/reloads.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { send, startTestGateway, type TestGateway } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-"));
after(() => rmSync(folder, { recursive: true }));
const BUNDLE = fileURLToPath(new URL("../../protos", import.meta.url));

interface Reflecting {
  readonly port: number;
  /** Resolves when reflection has been asked and has responded for the first time. */
  readonly reflected: Promise<void>;
  close(): Promise<void>;
}

/**
 * A server on `port` that reflects one service of one method, which echoes. The loader drops custom options, so the
 * routes come from the naming convention here; test/peers has annotations.
 * @param main import path of the file that has the service
 */
async function startNode(
  files: Readonly<Record<string, string>>,
  main: string,
  service: string,
  method: string,
  port = 0,
): Promise<Reflecting> {
  const root = mkdtempSync(join(folder, "protos-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const definition = loadSync(main, { includeDirs: [root, BUNDLE], keepCase: true, longs: String });
  let reflect: () => void = () => undefined;
  const reflected = new Promise<void>(resolve => {
    reflect = resolve;
  });
  const server = new Server({
    interceptors: [
      ({ path }, call) =>
        new ServerInterceptingCall(call, {
          sendStatus: (status, next) => {
            next(status);
            if (path.includes("ServerReflection") && status.code === 0) reflect();
          },
        }),
    ],
  });
  server.addService(definition[service] as ServiceDefinition, {
    [method]: (call: { request: object }, reply: (error: null, message: object) => void) =>
      reply(null, call.request),
  });
  new ReflectionService(definition).addToServer(server);
  const bound = await new Promise<number>((done, fail) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, at) =>
      error === null ? done(at) : fail(error),
    );
  });
  return { port: bound, reflected, close: async () => server.forceShutdown() };
}

/** As `startNode`, with a proto of one file. */
function startReflecting(service: string, method: string, port = 0): Promise<Reflecting> {
  const proto = `syntax = "proto3";
package r;
message M { string id = 1; int64 big = 2; }
service ${service} { rpc ${method}(M) returns (M); }
`;
  return startNode({ "s.proto": proto }, "s.proto", `r.${service}`, method, port);
}

const yaml = (port: number, refresh: string): string => `
descriptors: [{ reflection: a${refresh} }]
upstreams: { a: { targets: ["127.0.0.1:${port}"] } }
services: [{ service: r.S, upstream: a, bindings: [convention] }]
`;

describe("reflection as descriptor source", () => {
  it("reflection gives the same routes as the proto", async () => {
    const backend = await startReflecting("S", "GetA");
    const gateway = await startTestGateway(yaml(backend.port, ""), {});
    const answer = await send(`${gateway.url}/r.S/GetA?id=a&big=9007199254740993`);
    assert.deepEqual(answer.json, { id: "a", big: "9007199254740993" });
    await gateway.close();
    await backend.close();
  });

  it("reflection is waited for while the upstream is down, with a warning in the log", async () => {
    const first = await startReflecting("S", "GetA");
    await first.close();
    let tried: () => void = () => undefined;
    const whenTried = new Promise<void>(done => {
      tried = done;
    });
    const starting = startTestGateway(yaml(first.port, ""), {}, line => {
      if (String(line.msg).includes("reflection of upstream")) tried();
    });
    await whenTried;
    const backend = await startReflecting("S", "GetA", first.port);
    const gateway = await starting;
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    await gateway.close();
    await backend.close();
  });

  it("while a gateway waits for reflection its admin listener says 503 with Retry-After for what it may serve later", async () => {
    const file = join(folder, "starting.yaml");
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }\n${yaml(1, "")}`,
    );
    const loaded = readConfig(file, {});
    const never = (): never => {
      throw new Error("nothing is loaded yet");
    };
    const admin = await startAdminListener({
      metrics: new Metrics({ version: "0", buckets: [1] }),
      loaded: () => loaded,
      generation: () => undefined,
      reload: never,
      state: never,
      reloads: new Reloads(createLogger("silent"), never),
    });
    const origin = `http://127.0.0.1:${admin.address.port}`;
    const published = await fetch(`${origin}/realtime/publish`, { method: "POST", body: "{}" });
    const { reason } = (await published.json()) as { reason: string };
    const seen = [published.status, published.headers.get("retry-after"), reason];
    assert.deepEqual(seen, [503, "1", "STARTING"]);
    assert.equal((await fetch(`${origin}/livez`)).status, 200);
    await admin.close();
  });

  it("reflection that does not respond delays neither the gateway nor the next reload", async () => {
    const backend = await startReflecting("S", "GetA");
    const gateway = await startTestGateway(yaml(backend.port, ""), {});
    gateway.write("gateway.yaml", yaml(1, ""));
    const stuck = gateway.reload();
    await gateway.logged(({ msg }) => String(msg).includes("trying again"));
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    gateway.write("gateway.yaml", yaml(backend.port, "").replace("convention", "auto"));
    await Promise.all([stuck, gateway.reload()]);
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 405);
    await gateway.close();
    await backend.close();
  });

  it("reflection that changes replaces the routes; descriptors that cannot be used leave them", async () => {
    const first = await startReflecting("S", "GetA");
    const gateway: TestGateway = await startTestGateway(yaml(first.port, ", refresh: 1s"), {});
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 200);
    await first.close();

    const second = await startReflecting("S", "GetB", first.port);
    await until(async () => (await send(`${gateway.url}/r.S/GetB`)).status === 200);
    assert.equal((await send(`${gateway.url}/r.S/GetA`)).status, 404);
    await second.close();

    const third = await startReflecting("T", "GetC", first.port);
    const line = await gateway.logged(({ msg }) => String(msg).includes("cannot be used"));
    assert.match(String(line.error), /the descriptors have no service "r\.S"/);
    await third.close();
    await gateway.close();
  });
});

describe("a reload while new descriptors are being compiled", () => {
  it("a reload while reflected descriptors are being compiled serves in the end", async () => {
    const methods = Array.from({ length: 3_000 }, (_, index) => `rpc Get${index}(M) returns (M);`);
    const large = `syntax = "proto3"; package large; message M {} service L { ${methods.join("\n")} }`;
    const first = await startReflecting("S", "GetA");
    const withLarge = yaml(first.port, ", refresh: 1s").replace("[{ ", "[{ protos: ./protos }, { ");
    const gateway = await startTestGateway(withLarge, { "protos/large.proto": large });
    await first.close();
    const second = await startReflecting("S", "GetB", first.port);
    await second.reflected;
    gateway.write(
      "gateway.yaml",
      yaml(first.port, "").replace("convention]", "convention], prefix: /new, protocols: [rest]"),
    );
    await gateway.reload();
    // The start, the refresh and the reload.
    const { text } = await send(`${gateway.admin}/metrics`);
    assert.match(text, /protogate_config_reloads_total\{result="success"\} 3/);
    assert.equal((await send(`${gateway.url}/new/r.S/GetB`)).status, 200);
    assert.equal((await send(`${gateway.url}/r.S/GetB`)).status, 404);
    await gateway.close();
    await second.close();
  });
});

describe("reflection of the usual Node stack", () => {
  const money = 'syntax = "proto3"; package common; message Money { int64 units = 1; }';
  const shop = {
    "common/money.proto": money,
    "shop/v1/item.proto": `syntax = "proto3"; package shop.v1;
      import "google/protobuf/timestamp.proto"; import "common/money.proto";
      message Item {
        message Part { enum Size { SIZE_UNSPECIFIED = 0; LARGE = 1; } Size size = 1; }
        repeated Part parts = 1;
        map<string, Part> by_name = 2;
        google.protobuf.Timestamp made_at = 3;
        common.Money price = 4;
        optional int32 count = 5;
      }`,
    "service.proto": `syntax = "proto3"; package shop.v1;
      import "google/api/annotations.proto"; import "shop/v1/item.proto";
      service Shop { rpc CreateItem(Item) returns (Item) { option (google.api.http) = { post: "/v1/items" body: "*" }; } }`,
  };
  const stock = {
    "common/money.proto": money,
    "service.proto": `syntax = "proto3"; package stock.v1;
      import "google/protobuf/duration.proto"; import "common/money.proto";
      message Level { common.Money worth = 1; google.protobuf.Duration age = 2; }
      service Stock { rpc GetLevel(Level) returns (Level); }`,
  };

  it("reflection of the usual Node stack serves protos that import well-known types, annotations and other packages, from several servers", async () => {
    const [first, second] = await Promise.all([
      startNode(shop, "service.proto", "shop.v1.Shop", "CreateItem"),
      startNode(stock, "service.proto", "stock.v1.Stock", "GetLevel"),
    ]);
    const gateway = await startTestGateway(
      `
descriptors: [{ reflection: shop }, { reflection: stock }]
upstreams:
  shop: { targets: ["127.0.0.1:${first.port}"] }
  stock: { targets: ["127.0.0.1:${second.port}"] }
services:
  - { service: shop.v1.Shop, upstream: shop, bindings: [convention] }
  - { service: stock.v1.Stock, upstream: stock, bindings: [convention] }
`,
      {},
    );
    const item = {
      parts: [{ size: "LARGE" }],
      byName: { a: { size: "LARGE" } },
      madeAt: "2024-01-02T03:04:05Z",
      price: { units: "9007199254740993" },
      count: 0,
    };
    const created = await send(`${gateway.url}/shop.v1.Shop/CreateItem`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(item),
    });
    assert.equal(created.status, 200, created.text);
    assert.deepEqual(created.json, item);
    const level = await send(`${gateway.url}/stock.v1.Stock/GetLevel?worth.units=7&age=1.5s`);
    assert.deepEqual(level.json, { worth: { units: "7" }, age: "1.500s" });
    await gateway.close();
    await Promise.all([first.close(), second.close()]);
  });

  it("reflected servers that define one type differently are an error that names both", async () => {
    const other = { ...stock, "common/money.proto": money.replace("int64", "string") };
    const [first, second] = await Promise.all([
      startNode(shop, "service.proto", "shop.v1.Shop", "CreateItem"),
      startNode(other, "service.proto", "stock.v1.Stock", "GetLevel"),
    ]);
    const starting = startTestGateway(
      `
descriptors: [{ reflection: shop }, { reflection: stock }]
upstreams:
  shop: { targets: ["127.0.0.1:${first.port}"] }
  stock: { targets: ["127.0.0.1:${second.port}"] }
services: [{ service: shop.v1.Shop, upstream: shop, bindings: [convention] }]
`,
      {},
    );
    await assert.rejects(
      starting,
      /message "common\.Money" in "common\.proto" of reflection of upstream "stock" differs from the one in "common\.proto" of reflection of upstream "shop"/,
    );
    await Promise.all([first.close(), second.close()]);
  });
});

/** Asks again until the condition holds; the runner's own time limit ends it otherwise. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(done => setImmediate(done));
}
