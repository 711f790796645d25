import assert from "node:assert/strict";
import { once } from "node:events";
import {
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, it, test } from "node:test";
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
} from "@grpc/grpc-js";
import { LoadError } from "../../src/config/diagnostic.js";
import { startTestGateway, type TestGateway } from "../gateway/harness.js";
import { rawMessages } from "../raw-method.js";
import { call, enveloped, webTrailers } from "./client.js";

const same = (bytes: Buffer): Buffer => bytes;
const raw = {
  requestStream: true,
  responseStream: true,
  ...rawMessages,
};

let server: Server;
let port: number;
let bare: Http2Server;
let barePort: number;
let handler: (call: ServerDuplexStream<Buffer, Buffer>) => void;
let gateway: TestGateway;
let client: Client;

const yaml = (entry: string, more = "") => `
upstreams:
  old: { targets: ["127.0.0.1:${port}"], max_message_size: 64KiB, compression: { min_size: 0 } }
  bare: { targets: ["127.0.0.1:${barePort}"], compression: { min_size: 0 } }
  js: { targets: ["127.0.0.1:${port}"], transport: grpc-js }
  messages: { protocol: trpc, targets: ["127.0.0.1:1"] }
http: { limits: { body: 64KiB }, grpc: { health: { auth: none }, reflection: { auth: none }, pass_through: [${entry}] } }
rate_limits: { three: { requests: 3, per: 1h } }
server: { drain: 500ms }
telemetry: { log: { level: info } }
${more}`;

before(async () => {
  server = new Server();
  const method = (name: string) => ({ path: `/old.v1.Ledger/${name}`, ...raw });
  server.addService(
    { any: method("Any"), other: method("Other") },
    {
      any: (stream: ServerDuplexStream<Buffer, Buffer>) => handler(stream),
      other: (stream: ServerDuplexStream<Buffer, Buffer>) => handler(stream),
    },
  );
  port = await new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  bare = createServer().on("stream", serveBare).listen(0, "127.0.0.1");
  await once(bare, "listening");
  barePort = (bare.address() as AddressInfo).port;
  const entries = "{ service: old.v1.Ledger, upstream: old }, { service: bare.v1.Any, upstream: bare }";
  gateway = await startTestGateway(yaml(entries), {});
  client = new Client(`127.0.0.1:${gateway.httpPort}`, credentials.createInsecure());
});
after(async () => {
  client.close();
  await gateway.close();
  server.forceShutdown();
  bare.close();
});

/** Echoes each message, after all requests. */
const echoAll = (stream: ServerDuplexStream<Buffer, Buffer>): void => {
  const trailers = new Metadata();
  trailers.set("x-end", String(stream.metadata.get("x-in")));
  stream.on("data", message => stream.write(message));
  stream.on("end", () => stream.end(trailers));
};

it("gRPC pass-through passes calls of all four kinds", async () => {
  handler = echoAll;
  const path = "/old.v1.Ledger/Any";
  const unary = await new Promise<Buffer | undefined>((resolve, reject) =>
    client.makeUnaryRequest(path, same, same, Buffer.from("one"), (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    ),
  );
  assert.equal(String(unary), "one");
  const many: string[] = [];
  for await (const message of client.makeServerStreamRequest(path, same, same, Buffer.from("two")))
    many.push(String(message));
  assert.deepEqual(many, ["two"]);
  const collected = new Promise<string>((resolve, reject) => {
    const stream = client.makeClientStreamRequest(path, same, same, (error, bytes) =>
      error ? reject(error) : resolve(String(bytes)),
    );
    stream.end(Buffer.from("three"));
  });
  assert.equal(await collected, "three");
  const both = client.makeBidiStreamRequest(path, same, same);
  for (const text of ["a", "b"]) {
    both.write(Buffer.from(text));
    assert.equal(String((await once(both, "data"))[0]), text);
  }
  both.end();
  await once(both, "end");
});

it("gRPC pass-through passes metadata both ways, binary as well, and trailers behind the messages", async () => {
  let received = new Metadata();
  handler = stream => {
    received = stream.metadata;
    const initial = new Metadata();
    initial.set("x-first", "1");
    initial.set("x-data-bin", Buffer.from([0, 255]));
    stream.sendMetadata(initial);
    stream.write(Buffer.from("m"));
    const trailers = new Metadata();
    trailers.set("x-last", "2");
    stream.end(trailers);
  };
  const metadata = new Metadata();
  metadata.set("x-in", "7");
  metadata.set("authorization", "Bearer t");
  metadata.set("own-bin", Buffer.from([1, 2, 3]));
  const stream = client.makeBidiStreamRequest("/old.v1.Ledger/Any", same, same, metadata);
  stream.end();
  const [[initial], [status]] = await Promise.all([
    once(stream, "metadata") as Promise<[Metadata]>,
    once(stream, "status") as Promise<[{ code: number; metadata: Metadata }]>,
    once(stream.resume(), "end"),
  ]);
  assert.deepEqual(received.get("x-in"), ["7"]);
  assert.deepEqual(received.get("authorization"), ["Bearer t"]);
  assert.deepEqual(received.get("own-bin"), [Buffer.from([1, 2, 3])]);
  assert.deepEqual(initial.get("x-first"), ["1"]);
  assert.deepEqual(initial.get("x-data-bin"), [Buffer.from([0, 255])]);
  assert.deepEqual(initial.get("x-last"), []);
  assert.deepEqual([status.code, status.metadata.get("x-last")], [0, ["2"]]);
});

it("gRPC pass-through passes codes above 16, messages and grpc-status-details-bin of a failure as they are", async () => {
  const details = Buffer.from([0x08, 5, 0x12, 2, 0x68, 0x69, 0x78, 1]);
  handler = stream => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", details);
    metadata.set("x-more", "m");
    stream.emit("error", { code: 5002, details: "no 100% of €", metadata });
  };
  const stream = client.makeBidiStreamRequest("/old.v1.Ledger/Any", same, same);
  stream.on("data", () => undefined);
  stream.end();
  const [error] = (await once(stream, "error")) as [ServiceError];
  assert.deepEqual([error.code, error.details], [5002, "no 100% of €"]);
  assert.deepEqual(error.metadata.get("grpc-status-details-bin"), [details]);
  assert.deepEqual(error.metadata.get("x-more"), ["m"]);
});

interface RawResponse {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

/** A call by bare HTTP/2, so that bytes are seen as they are. */
async function rawCall(
  path: string,
  body: Buffer,
  headers: Record<string, string> = {},
): Promise<RawResponse> {
  const session = connect(gateway.url);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  let trailers: Record<string, unknown> = {};
  let head: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  stream.on("response", each => (head = each));
  stream.on("trailers", each => (trailers = each));
  stream.on("data", chunk => chunks.push(chunk as Buffer));
  stream.end(body);
  await once(stream, "close");
  session.close();
  return { headers: head, trailers: { ...head, ...trailers }, body: Buffer.concat(chunks) };
}

/** What reached the bare backend, and what it answers. */
let bareRequest: { headers: IncomingHttpHeaders; body: Buffer } | undefined;
let bareAnswer: { headers: Record<string, string>; body?: Buffer };

function serveBare(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => {
    bareRequest = { headers, body: Buffer.concat(chunks) };
    const head = { "content-type": "application/grpc", ...bareAnswer.headers };
    if (bareAnswer.body === undefined) {
      stream.respond(head, { endStream: true });
      return;
    }
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(bareAnswer.body);
  });
}

it("gRPC pass-through passes compressed messages byte for byte, and what is said of encodings", async () => {
  const sent = Buffer.concat([enveloped(1, Buffer.from("no gzip at all")), enveloped(0, Buffer.from("x"))]);
  bareAnswer = {
    headers: { "grpc-encoding": "snappy", "grpc-accept-encoding": "snappy,identity" },
    body: Buffer.concat([
      enveloped(0, Buffer.from("y")),
      enveloped(1, Buffer.alloc(50_000, "z")),
      enveloped(0, Buffer.alloc(0)),
    ]),
  };
  const said = { "grpc-encoding": "zstd", "grpc-accept-encoding": "zstd,snappy" };
  const { body, headers, trailers } = await rawCall("/bare.v1.Any/Call", sent, said);
  assert.deepEqual(bareRequest?.body, sent);
  assert.equal(bareRequest?.headers["grpc-encoding"], "zstd");
  assert.equal(bareRequest?.headers["grpc-accept-encoding"], "zstd,snappy");
  assert.deepEqual(body, bareAnswer.body);
  assert.deepEqual(
    [headers["grpc-encoding"], headers["grpc-accept-encoding"]],
    ["snappy", "snappy,identity"],
  );
  assert.equal(trailers["grpc-status"], "0");
});

it("gRPC pass-through says nothing of encodings where the caller says nothing, though the upstream's compression is on", async () => {
  bareAnswer = { headers: {}, body: Buffer.alloc(0) };
  const sent = enveloped(0, Buffer.alloc(5000));
  await rawCall("/bare.v1.Any/Call", sent);
  assert.deepEqual(bareRequest?.body, sent);
  assert.equal(bareRequest?.headers["grpc-encoding"], undefined);
  assert.equal(bareRequest?.headers["grpc-accept-encoding"], undefined);
});

it("gRPC pass-through passes the refusal of an encoding", async () => {
  bareAnswer = {
    headers: { "grpc-status": "12", "grpc-message": "no zstd", "grpc-accept-encoding": "gzip" },
  };
  const { trailers } = await rawCall("/bare.v1.Any/Call", enveloped(1, Buffer.from("?")), {
    "grpc-encoding": "zstd",
  });
  assert.deepEqual([trailers["grpc-status"], trailers["grpc-message"]], ["12", "no zstd"]);
});

it("gRPC pass-through gives the backend the client's deadline", async () => {
  let deadline = 0;
  handler = stream => {
    deadline = Number(stream.getDeadline());
    stream.end();
  };
  const before = Date.now();
  await rawCall("/old.v1.Ledger/Any", Buffer.alloc(0), { "grpc-timeout": "50S" });
  assert.ok(deadline > before + 1000 && deadline <= Date.now() + 50_000);
});

for (const [what, path, body, headers, status] of [
  ["a method that the backend does not have", "/old.v1.Ledger/None", enveloped(0, Buffer.alloc(0)), {}, "12"],
  ["a method whose name is escaped", "/old.v1.Ledger/An%79", Buffer.alloc(0), {}, "12"],
  ["a service that is not declared", "/old.v1.Other/Any", Buffer.alloc(0), {}, "12"],
  ["a message above the limit", "/old.v1.Ledger/Any", enveloped(0, Buffer.alloc(64 * 1024 + 1)), {}, "8"],
  ["flags that mean nothing", "/old.v1.Ledger/Any", enveloped(2, Buffer.from("x")), {}, "3"],
  ["a message cut short", "/old.v1.Ledger/Any", enveloped(0, Buffer.from("abc")).subarray(0, 6), {}, "3"],
  ["a timeout that is none", "/old.v1.Ledger/Any", Buffer.alloc(0), { "grpc-timeout": "soon" }, "3"],
  [
    "an encoding of 300 characters",
    "/old.v1.Ledger/Any",
    Buffer.alloc(0),
    { "grpc-encoding": "x".repeat(300) },
    "3",
  ],
] as const) {
  it(`gRPC pass-through refuses ${what} in the form of gRPC`, async () => {
    handler = echoAll;
    const { trailers } = await rawCall(path, body, headers);
    assert.equal(trailers["grpc-status"], status, String(trailers["grpc-message"]));
  });
}

it("gRPC pass-through passes a message of just the limit", async () => {
  handler = echoAll;
  const { body, trailers } = await rawCall("/old.v1.Ledger/Any", enveloped(0, Buffer.alloc(64 * 1024, "z")));
  assert.equal(trailers["grpc-status"], "0");
  assert.equal(body.length, 64 * 1024 + 5);
});

it("gRPC pass-through refuses other protocols with 415 and the types that it takes", async () => {
  for (const type of ["application/json", "application/grpc-web", "application/proto"]) {
    const { status, headers, body } = await call(`${gateway.url}/old.v1.Ledger/Any`, type, "{}");
    assert.deepEqual([status, headers.get("accept-post")], [415, "application/grpc, application/grpc+proto"]);
    const said = type === "application/grpc-web" ? webTrailers(body)["grpc-message"] : body.toString();
    assert.match(said ?? "", /is not supported; expected one of application\/grpc, application\/grpc\+proto/);
  }
});

it("gRPC pass-through cancels the backend's call when the client leaves", async () => {
  const cancelled = new Promise<void>(resolve => {
    handler = stream => {
      stream.on("cancelled", () => resolve());
      stream.write(Buffer.from("x"));
    };
  });
  const stream = client.makeBidiStreamRequest("/old.v1.Ledger/Any", same, same);
  stream.on("error", () => undefined);
  await once(stream, "data");
  stream.cancel();
  await cancelled;
});

it("gRPC pass-through counts calls under one route and one method, whatever their names", async () => {
  handler = echoAll;
  for (const name of ["Any", "Other", "None"]) await rawCall(`/old.v1.Ledger/${name}`, Buffer.alloc(0));
  const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
  const lines = metrics.split("\n").filter(line => line.includes("old.v1.Ledger"));
  assert.ok(lines.some(line => line.includes('route="/old.v1.Ledger/*"')));
  assert.ok(
    lines.some(line => line.includes('grpc_method="*"')),
    lines.join("\n"),
  );
  assert.deepEqual(
    lines.filter(line => /Any|Other|None/.test(line)),
    [],
  );
});

it("gRPC pass-through has the health of its upstream, and is not reflected", async () => {
  const health = await call(`${gateway.url}/grpc.health.v1.Health/List`, "application/json", "{}");
  assert.ok("old.v1.Ledger" in JSON.parse(String(health.body)).statuses);
  const listed = await call(
    `${gateway.url}/grpc.reflection.v1.ServerReflection/ServerReflectionInfo`,
    "application/connect+json",
    enveloped(0, Buffer.from('{"listServices":""}')),
  );
  assert.ok(!String(listed.body).includes("old.v1"));
});

test("a service that passes is guarded by authentication, limits and policies by RPC and path", async () => {
  const guarded = await startTestGateway(
    yaml(
      "{ service: old.v1.Ledger, upstream: old, auth: [keys], rate_limit: three }",
      `
auth:
  providers: { keys: { type: api_key, header: x-key, keys: ./keys.yaml } }
  policies:
    - { match: { route: /old.v1.Ledger/Other }, require: { scopes: [admin] } }
`,
    ),
    {
      "keys.yaml":
        '- { hash: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", subject: tester }\n',
    },
  );
  handler = echoAll;
  const direct = new Client(`127.0.0.1:${guarded.httpPort}`, credentials.createInsecure());
  const code = (name: string, key: string) =>
    new Promise<number>(resolve => {
      const metadata = new Metadata();
      metadata.set("x-key", key);
      const stream = direct.makeBidiStreamRequest(`/old.v1.Ledger/${name}`, same, same, metadata);
      stream.on("data", () => undefined);
      stream.on("error", () => undefined);
      stream.on("status", status => resolve(status.code));
      stream.end();
    });
  assert.equal(await code("Any", "wrong"), 16);
  assert.equal(await code("Other", "test"), 7);
  assert.equal(await code("Any", "test"), 0);
  assert.equal(await code("Any", "test"), 8);
  direct.close();
  await guarded.close();
});

for (const [what, entry, more, message] of [
  ["an upstream that is not there", "{ service: a.B, upstream: no }", "", /upstream/],
  [
    "a transport that reads messages",
    "{ service: a.B, upstream: js }",
    "",
    /expected an upstream with transport lean/,
  ],
  [
    "a tRPC upstream",
    "{ service: a.B, upstream: messages }",
    "",
    /expected an upstream with protocol grpc, found "messages" with protocol trpc: calls pass as they are/,
  ],
  ["a pattern", '{ service: "a.**", upstream: old }', "", /package\.Service/],
  [
    "the same service twice",
    "{ service: a.B, upstream: old }, { service: a.B, upstream: old }",
    "",
    /passes by http\.grpc\.pass_through\[0\] already/,
  ],
  [
    "a policy that reads fields",
    "{ service: a.B, upstream: old }",
    'auth: { policies: [{ match: { rpc: a.B/* }, require: { rule: request.id == "1" } }] }',
    /no field "id"|id/,
  ],
  [
    "a policy for one method by RPC",
    "{ service: a.B, upstream: old }",
    "auth: { policies: [{ match: { rpc: a.B/Get }, require: { scopes: [x] } }] }",
    /match route \/a\.B\/Get/,
  ],
] as const) {
  test(`declaring ${what} for a service that passes is an error`, async () => {
    await assert.rejects(
      startTestGateway(yaml(entry, more), {}),
      (error: unknown) => error instanceof LoadError && message.test(error.message),
    );
  });
}
