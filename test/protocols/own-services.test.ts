import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { after, before, describe, it, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceError,
} from "@grpc/grpc-js";
import { Reader, Writer } from "protobufjs";
import { LoadError } from "../../src/config/diagnostic.js";
import { decodeFile } from "../../src/descriptors/descriptor-codec.js";
import type { FileProto } from "../../src/descriptors/descriptor-proto.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { stateChanged } from "../../src/net/state-changes.js";
import { HealthService } from "../../src/protocols/own-services/health.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import { fetchDescriptors } from "../../src/upstream/reflection/reflection.js";
import { startTestGateway, type TestGateway } from "../gateway/harness.js";
import { rawMethod } from "../raw-method.js";
import { call, enveloped, envelopes, webTrailers } from "./client.js";

const files = {
  "protos/shop/shop.proto": `
syntax = "proto3";
package shop.v1;
import "shop/all.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { string secret_option = 51234; }

// A comment for colleagues.
service Orders {
  option deprecated = true;
  rpc Get(GetRequest) returns (Order) { option (secret_option) = "hush"; option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Watch(GetRequest) returns (stream Order);
  rpc Purge(PurgeRequest) returns (Order);
}
service Backdoor { rpc Open(PurgeRequest) returns (Order); }
message GetRequest { string id = 1; reserved 2; reserved "password"; }
message PurgeRequest { string why = 1; }
message Unused { string text = 1; }
`,
  "protos/shop/all.proto": `
syntax = "proto3";
package shop.v1;
import public "shop/types.proto";
`,
  "protos/shop/types.proto": `
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
import "shop/old.proto";
message Order {
  string id = 1;
  Outer.Line line = 2;
  map<string, Money> prices = 3;
  google.protobuf.Timestamp at = 4;
  oneof more { shop.old.Note note = 5; string text = 6; }
  repeated int32 numbers = 7 [packed = false];
}
message Outer {
  message Line { int32 count = 1; State state = 2; }
  message Hidden { string text = 1; }
  enum State { UNKNOWN = 0; OPEN = 1; }
  string name = 1;
}
message Money { int64 units = 1; }
message Secret { string key = 1; }
`,
  "protos/shop/old.proto": `
syntax = "proto2";
package shop.old;
message Note { optional string text = 1; extensions 100 to 199; }
message Extra { optional string more = 1; }
extend Note { optional Extra extra = 100; }
`,
};

function yaml(grpc: string): string {
  return `
descriptors: [{ protos: ./protos }]
upstreams:
  shop: { targets: ["127.0.0.1:1"] }
  ill: { targets: ["127.0.0.1:1"], health: {} }
services:
  - { service: shop.v1.Orders, upstream: shop, bindings: [auto], methods: { Purge: { protocols: [rest] } } }
auth: { providers: { keys: { type: api_key, header: x-key, keys: ./keys.yaml } } }
server: { drain: 5s }
http: ${grpc}
`;
}

const keys =
  '- { hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", subject: tester }\n';
const same = (bytes: Buffer): Buffer => bytes;
const v1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

interface Answer {
  readonly files?: FileProto[];
  readonly services?: string[];
  readonly numbers?: number[];
  readonly error?: { readonly code: number; readonly message: string };
}

/** ServerReflectionResponse, as far as tests look at it. */
function readAnswer(bytes: Buffer): Answer {
  let answer: Answer = {};
  eachField(bytes, (field, value) => {
    if (field === 4) answer = { files: repeated(value as Uint8Array).map(decodeFile) };
    if (field === 5) answer = { numbers: repeated(value as Uint8Array, 2).flatMap(packed => [...packed]) };
    if (field === 6)
      answer = {
        services: repeated(value as Uint8Array).map(name => Buffer.from(repeated(name)[0] ?? []).toString()),
      };
    if (field === 7) {
      const error = { code: 0, message: "" };
      eachField(value as Uint8Array, (inner, each) => {
        if (inner === 1) error.code = each as number;
        else error.message = Buffer.from(each as Uint8Array).toString();
      });
      answer = { error };
    }
  });
  return answer;
}

function eachField(bytes: Uint8Array, see: (field: number, value: Uint8Array | number) => void): void {
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    see(tag >>> 3, (tag & 7) === 0 ? reader.int32() : reader.bytes());
  }
}

function repeated(bytes: Uint8Array, wanted = 1): Uint8Array[] {
  const found: Uint8Array[] = [];
  eachField(bytes, (field, value) => field === wanted && found.push(value as Uint8Array));
  return found;
}

function asking(field: number, text: string): Buffer {
  return Buffer.from(
    Writer.create()
      .uint32((field << 3) | 2)
      .string(text)
      .finish(),
  );
}

describe("reflection of the gateway", () => {
  let gateway: TestGateway;
  let client: Client;
  let stream: ClientDuplexStream<Buffer, Buffer>;

  before(async () => {
    gateway = await startTestGateway(
      yaml("{ grpc: { health: { auth: none }, reflection: { auth: none } } }"),
      { ...files, "keys.yaml": keys },
    );
    client = new Client(`127.0.0.1:${gateway.httpPort}`, credentials.createInsecure());
    stream = client.makeBidiStreamRequest(v1, same, same);
  });
  after(async () => {
    stream.cancel();
    stream.on("error", () => undefined);
    client.close();
    await gateway.close();
  });

  const ask = async (request: Buffer): Promise<Answer> => {
    stream.write(request);
    const [response] = (await once(stream, "data")) as [Buffer];
    return readAnswer(response);
  };

  it("reflection of the gateway lists the services with methods that protocols expose, and no others", async () => {
    assert.deepEqual((await ask(asking(7, "*"))).services, [
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "shop.v1.Orders",
    ]);
  });

  it("reflection of the gateway describes a service with all that its methods use, and nothing else", async () => {
    const { files: described = [] } = await ask(asking(4, "shop.v1.Orders"));
    const names = described.map(({ name }) => name);
    assert.deepEqual(names.sort(), [
      "google/protobuf/timestamp.proto",
      "shop/old.proto",
      "shop/shop.proto",
      "shop/types.proto",
    ]);
    const shop = described.find(({ name }) => name === "shop/shop.proto") as FileProto;
    assert.deepEqual(
      shop.service.map(({ name, method }) => [name, method.map(each => each.name)]),
      [["Orders", ["Get", "Watch"]]],
    );
    assert.deepEqual(
      shop.messageType.map(({ name }) => name),
      ["GetRequest"],
    );
    assert.deepEqual(shop.dependency, ["shop/types.proto"]);
    const text = Buffer.concat(described.map(file => Buffer.from(JSON.stringify(file)))).toString();
    for (const hidden of [
      "Purge",
      "Backdoor",
      "Unused",
      "Secret",
      "Hidden",
      "hush",
      "password",
      "colleagues",
    ])
      assert.ok(!text.includes(hidden), hidden);
    const types = described.find(({ name }) => name === "shop/types.proto") as FileProto;
    assert.deepEqual(
      types.messageType.map(({ name }) => name),
      ["Order", "Outer", "Money"],
    );
    // deprecated of the service, idempotency_level of the method: a client calls by them.
    assert.deepEqual([...(shop.service[0]?.options ?? [])], [0x88, 2, 1]);
    assert.deepEqual([...(shop.service[0]?.method[0]?.options ?? [])], [0x90, 2, 1]);
  });

  it("reflection of the gateway sends a dependency once in a call, and a requested file each time", async () => {
    const again = await ask(asking(4, "shop.v1.Orders"));
    assert.deepEqual(
      again.files?.map(({ name }) => name),
      ["shop/shop.proto"],
    );
    const direct = await ask(asking(3, "shop/types.proto"));
    assert.deepEqual(
      direct.files?.map(({ name }) => name),
      ["shop/types.proto"],
    );
  });

  for (const symbol of [
    "shop.v1.Orders.Get",
    "shop.v1.Order",
    "shop.v1.Order.prices",
    "shop.v1.Outer.Line",
    "shop.v1.Outer.State",
    "shop.v1.Outer.OPEN",
    "shop.old.extra",
    "grpc.health.v1.Health",
  ]) {
    it(`reflection of the gateway finds the file of ${symbol}`, async () => {
      assert.equal((await ask(asking(4, symbol))).error, undefined);
    });
  }

  for (const symbol of [
    "",
    "shop.v1.Backdoor",
    "shop.v1.Orders.Purge",
    "shop.v1.PurgeRequest",
    "shop.v1.Secret",
    "shop.v1.secret_option",
    "google.protobuf.MethodOptions",
    ".shop.v1.Orders",
    "x".repeat(5000),
  ]) {
    it(`knows nothing of the symbol ${symbol.slice(0, 40) || "without a name"}`, async () => {
      const { error } = await ask(asking(4, symbol));
      assert.equal(error?.code, 5);
      assert.ok((error?.message ?? "").length < 400);
    });
  }

  it("knows extensions of messages by number", async () => {
    const of = (number: number) =>
      Buffer.from(
        Writer.create()
          .uint32(42)
          .fork()
          .uint32(10)
          .string("shop.old.Note")
          .uint32(16)
          .int32(number)
          .ldelim()
          .finish(),
      );
    assert.equal((await ask(of(100))).files?.[0]?.name, "shop/old.proto");
    assert.equal((await ask(of(101))).error?.code, 5);
    assert.deepEqual((await ask(asking(6, "shop.old.Note"))).numbers, [100]);
    assert.deepEqual((await ask(asking(6, "shop.v1.Secret"))).error?.code, 5);
  });

  it("reflection of the gateway goes on after a request for nothing and one for a file that is not there", async () => {
    assert.equal((await ask(Buffer.alloc(0))).error?.code, 3);
    assert.equal((await ask(asking(3, "../../etc/passwd"))).error?.code, 5);
    assert.equal((await ask(asking(3, "shop/all.proto"))).error?.code, 5);
  });

  for (const [what, request] of [
    ["bytes that are no message", Buffer.from([0xff, 0xff])],
    ["a name cut short", Buffer.from([0x22, 50, 0x61])],
    ["a request of 20 KiB", asking(4, "x".repeat(20_000))],
  ] as const) {
    it(`reflection of the gateway ends a call with INVALID_ARGUMENT after ${what}`, async () => {
      const other = client.makeBidiStreamRequest(v1, same, same);
      other.on("data", () => undefined);
      other.write(request);
      const [error] = (await once(other, "error")) as [ServiceError];
      assert.equal(error.code, 3);
    });
  }

  it("reflection of the gateway is enough for a client to link everything", async () => {
    const channel = createChannel({
      name: "gateway",
      targets: [`127.0.0.1:${gateway.httpPort}`],
      balancing: "round_robin",
      transport: "lean",
      maxMessageSize: 1 << 20,
    });
    const reflected = await fetchDescriptors(channel, { timeout: 30_000 });
    const { model } = await loadModel([{ kind: "files", origin: "gateway", files: reflected.files }]);
    await channel.close();
    const method = model.services.get("shop.v1.Orders")?.methods[0];
    assert.equal(method?.idempotency, "no_side_effects");
    assert.equal(method?.output.fieldsByName.get("note")?.message?.fullName, "shop.old.Note");
    assert.equal(method?.output.fieldsByName.get("numbers")?.packed, false);
    assert.ok(model.extension("shop.old.Note", 100));
  });

  const withoutPython =
    spawnSync("python3", ["-c", "import grpc_reflection"]).status === 0
      ? false
      : "python3 with grpcio-reflection is not installed";

  it("reflection of the gateway is enough for the descriptor pool of Python's protobuf", {
    skip: withoutPython,
  }, async () => {
    const script = `
import sys, grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
with grpc.insecure_channel(sys.argv[1]) as channel:
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)
    print(",".join(sorted(database.get_services())))
    for method in pool.FindServiceByName("shop.v1.Orders").methods:
        print(method.name, method.output_type.full_name, [f.name for f in method.output_type.fields])
`;
    const { stdout } = await promisify(execFile)("python3", ["-c", script, `127.0.0.1:${gateway.httpPort}`]);
    const fields = "['id', 'line', 'prices', 'at', 'note', 'text', 'numbers']";
    assert.match(stdout, /grpc\.health\.v1\.Health,.*shop\.v1\.Orders\n/);
    assert.ok(stdout.includes(`Get shop.v1.Order ${fields}\nWatch shop.v1.Order ${fields}\n`), stdout);
  });

  it("reflection of the gateway is spoken by Connect's streams, too", async () => {
    const body = enveloped(0, Buffer.from('{"listServices":"*"}'));
    const { status, body: response } = await call(`${gateway.url}${v1}`, "application/connect+json", body);
    assert.equal(status, 200);
    const [first] = envelopes(response);
    assert.match(String(first?.message), /"service":\[\{"name":"grpc\.health\.v1\.Health"\}/);
  });
});

const health = "/grpc.health.v1.Health";

function serving(bytes: Buffer): number {
  let status = 0;
  eachField(bytes, (_field, value) => {
    status = value as number;
  });
  return status;
}

describe("health of the gateway", () => {
  let gateway: TestGateway;
  let client: Client;
  let closed = false;

  before(async () => {
    gateway = await startTestGateway(
      yaml("{ grpc: { health: { auth: none } } }").replace(", health: {}", ""),
      {
        ...files,
        "keys.yaml": keys,
      },
    );
    client = new Client(`127.0.0.1:${gateway.httpPort}`, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    if (!closed) await gateway.close();
  });

  const check = (service: string) =>
    new Promise<number>((resolve, reject) => {
      client.makeUnaryRequest(`${health}/Check`, same, same, asking(1, service), (error, bytes) =>
        error ? reject(error) : resolve(serving(bytes as Buffer)),
      );
    });

  it("health of the gateway is SERVING as a whole and for each service that is exposed", async () => {
    for (const service of ["", "shop.v1.Orders", "grpc.health.v1.Health"])
      assert.equal(await check(service), 1);
  });

  for (const service of ["shop.v1.Backdoor", "grpc.reflection.v1.ServerReflection", "x"]) {
    it(`health of the gateway is NOT_FOUND for ${service}, which is not exposed`, async () => {
      await assert.rejects(check(service), { code: 5, details: "the gateway exposes no such service" });
    });
  }

  it("health of the gateway is INVALID_ARGUMENT for bytes that are no request", async () => {
    const broken = new Promise((resolve, reject) => {
      client.makeUnaryRequest(`${health}/Check`, same, same, Buffer.from([0xff]), error =>
        error ? reject(error) : resolve(undefined),
      );
    });
    await assert.rejects(broken, { code: 3 });
  });

  it("speaks Connect and gRPC-Web, too", async () => {
    const json = await call(`${gateway.url}${health}/Check`, "application/json", "{}");
    assert.deepEqual([json.status, String(json.body)], [200, '{"status":"SERVING"}']);
    const list = await call(`${gateway.url}${health}/List`, "application/json", "{}");
    assert.deepEqual(JSON.parse(String(list.body)), {
      statuses: {
        "": { status: "SERVING" },
        "shop.v1.Orders": { status: "SERVING" },
        "grpc.health.v1.Health": { status: "SERVING" },
      },
    });
    const web = await call(
      `${gateway.url}${health}/Check`,
      "application/grpc-web",
      enveloped(0, asking(1, "no")),
    );
    assert.equal(webTrailers(web.body)["grpc-status"], "5");
  });

  it("health of the gateway is no REST, and has no other methods", async () => {
    const get = await fetch(`${gateway.url}${health}/Check`);
    assert.equal(get.status, 405);
    const unknown = await call(
      `${gateway.url}${health}/Other`,
      "application/grpc-web",
      enveloped(0, Buffer.alloc(0)),
    );
    assert.equal(webTrailers(unknown.body)["grpc-status"], "12");
  });

  it("health of the gateway does not serve reflection where that is not written", async () => {
    const stream = client.makeBidiStreamRequest(v1, same, same);
    stream.on("data", () => undefined);
    stream.write(asking(7, "*"));
    const [error] = (await once(stream, "error")) as [ServiceError];
    assert.equal(error.code, 12);
  });

  it("health of the gateway is sent to watchers, and at shutdown that it is over, before it ends their calls", async () => {
    const watch = (service: string) => {
      const stream = client.makeServerStreamRequest(`${health}/Watch`, same, same, asking(1, service));
      const seen: number[] = [];
      stream.on("data", bytes => seen.push(serving(bytes)));
      const ended = once(stream, "error").then(([error]) => (error as ServiceError).code);
      return { seen, ended, first: once(stream, "data") };
    };
    const whole = watch("");
    const unknown = watch("shop.v1.Backdoor");
    await Promise.all([whole.first, unknown.first]);
    assert.deepEqual([whole.seen, unknown.seen], [[1], [3]]);
    closed = true;
    const closing = gateway.close();
    // UNAVAILABLE
    assert.deepEqual(await Promise.all([whole.ended, unknown.ended]), [14, 14]);
    assert.deepEqual(
      [whole.seen, unknown.seen],
      [
        [1, 2],
        [3, 2],
      ],
    );
    await closing;
  });
});

test("health of the gateway follows the upstreams, each service its own", async () => {
  const gateway = await startTestGateway(
    yaml("{ grpc: { health: { auth: none } } }").replace(
      "upstream: shop, bindings",
      "upstream: ill, bindings",
    ),
    { ...files, "keys.yaml": keys },
  );
  const client = new Client(`127.0.0.1:${gateway.httpPort}`, credentials.createInsecure());
  const stream = client.makeServerStreamRequest(`${health}/Watch`, same, same, asking(1, "shop.v1.Orders"));
  stream.on("error", () => undefined);
  // The endpoint refuses connections, which shows once it was tried.
  for await (const bytes of stream) if (serving(bytes as Buffer) === 2) break;
  const whole = await call(`${gateway.url}${health}/Check`, "application/json", "{}");
  assert.equal(String(whole.body), '{"status":"NOT_SERVING"}');
  assert.equal((await fetch(`${gateway.admin}/readyz`)).status, 503);
  const itself = JSON.stringify({ service: "grpc.health.v1.Health" });
  const own = await call(`${gateway.url}${health}/Check`, "application/json", itself);
  assert.equal(String(own.body), '{"status":"SERVING"}');
  client.close();
  await gateway.close();
});

test("nobody looks at what watchers of health wait for between two changes", async t => {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  let looks = 0;
  let status = true;
  const source = {
    services: [],
    serving: () => {
      looks++;
      return status;
    },
  };
  const told: number[] = [];
  const calls = [1, 2].map(() => {
    const call = new HealthService(source).methods.get(`${health}/Watch`)?.open({
      respond: message => told.push(serving(Buffer.from(message))),
      end: () => assert.fail("the watch has ended"),
    });
    call?.message(asking(1, ""));
    return call;
  });
  t.mock.timers.tick(3_600_000);
  assert.deepEqual([looks, told], [2, [1, 1]]);
  status = false;
  stateChanged();
  stateChanged();
  await turn();
  assert.deepEqual([looks, told], [4, [1, 1, 2, 2]]);
  for (const call of calls) call?.closed?.();
  stateChanged();
  await turn();
  assert.equal(looks, 4);
});

test("a watcher of health is notified of each change of a backend, also that it is gone", async () => {
  const backend = new Server();
  const watched: ServerWritableStream<Buffer, Buffer>[] = [];
  const asked = new EventEmitter();
  const definition = {
    Watch: rawMethod(`${health}/Watch`, false, true),
  };
  backend.addService(definition, {
    Watch: (call: ServerWritableStream<Buffer, Buffer>) => {
      watched.push(call);
      call.write(Buffer.from([8, 1]));
      asked.emit("call");
    },
  });
  const port = await promisify(backend.bindAsync.bind(backend))(
    "127.0.0.1:0",
    ServerCredentials.createInsecure(),
  );
  const first = once(asked, "call");
  const gateway = await startTestGateway(
    yaml("{ grpc: { health: { auth: none } } }").replace(
      'ill: { targets: ["127.0.0.1:1"]',
      `ill: { targets: ["127.0.0.1:${port}"]`,
    ),
    { ...files, "keys.yaml": keys },
  );
  const client = new Client(`127.0.0.1:${gateway.httpPort}`, credentials.createInsecure());
  try {
    await first;
    const stream = client.makeServerStreamRequest(`${health}/Watch`, same, same, asking(1, ""));
    stream.on("error", () => undefined);
    const statuses = stream[Symbol.asyncIterator]();
    const next = async (): Promise<number> => serving((await statuses.next()).value as Buffer);
    assert.equal(await next(), 1);
    for (const status of [2, 1, 2]) {
      watched[0]?.write(Buffer.from([8, status]));
      assert.equal(await next(), status);
    }
    // The backend goes away: it is failing once it cannot be reached, whatever it said last.
    watched[0]?.write(Buffer.from([8, 1]));
    assert.equal(await next(), 1);
    backend.forceShutdown();
    assert.equal(await next(), 2);
  } finally {
    client.close();
    backend.forceShutdown();
    await gateway.close();
  }
});

test("health and reflection demand what their sections say, and auth.default where they say nothing", async () => {
  const gateway = await startTestGateway(
    yaml("{ grpc: { health: {}, reflection: { auth: [keys] } } }").replace(
      "auth: {",
      "auth: { default: [keys],",
    ),
    { ...files, "keys.yaml": keys },
  );
  const status = async (path: string, key: string) =>
    (
      await call(`${gateway.url}${path}`, "application/grpc-web", enveloped(0, Buffer.alloc(0)), {
        "x-key": key,
      })
    ).headers.get("www-authenticate") === null;
  assert.equal(await status(`${health}/Check`, "wrong"), false);
  assert.equal(await status(v1, "wrong"), false);
  assert.equal(await status(`${health}/Check`, "test"), true);
  assert.equal(await status(v1, "test"), true);
  await gateway.close();
});

test("a service of the backend and one of the gateway with the same name are an error that names both", async () => {
  const clash = yaml("{ grpc: { health: {} } }").replace(
    "services:\n",
    "services:\n  - { service: grpc.health.v1.Health, upstream: shop, protocols: [grpc] }\n",
  );
  const proto = "protos/grpc/health/v1/health.proto";
  const message =
    /POST \/grpc\.health\.v1\.Health\/Check is bound by grpc\.health\.v1\.Health\.Check of services already/;
  await assert.rejects(
    startTestGateway(clash, {
      ...files,
      "keys.yaml": keys,
      [proto]: `syntax = "proto3"; package grpc.health.v1;
        message HealthCheckRequest { string service = 1; }
        message HealthCheckResponse { int32 status = 1; }
        service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }`,
    }),
    (error: unknown) => error instanceof LoadError && message.test(error.message),
  );
});

test("http.grpc names only providers and limits that exist", async () => {
  await assert.rejects(
    startTestGateway(
      yaml("{ grpc: { health: { auth: [key], rate_limit: few }, reflection: { auths: none } } }"),
      {
        ...files,
        "keys.yaml": keys,
      },
    ),
    (error: unknown) =>
      error instanceof LoadError &&
      /http\.grpc\.health\.auth/.test(error.message) &&
      /http\.grpc\.health\.rate_limit/.test(error.message) &&
      /"auth"/.test(error.message),
  );
});
