import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { type EchoSystem, startEcho } from "../gateway/echo.js";
import { failures, withMetadata } from "./replies.js";

/** `Item { id: "7" }` */
const item = Buffer.from([0x0a, 1, 0x37]);

let system: EchoSystem;
let client: Client;

before(async () => {
  system = await startEcho(
    "metadata: { request: [x-in, data-bin], response: [x-out, x-end, data-bin] }, methods: { Get: { timeout: 5s } }",
    "http: { limits: { body: 64KiB } }",
    {
      ...failures,
      Archive: () => undefined,
      Create: withMetadata(received => received.get("data-bin")[0] ?? ""),
    },
  );
  client = new Client(`127.0.0.1:${system.gateway.httpPort}`, credentials.createInsecure());
});

after(async () => {
  client.close();
  await system.close();
});

interface Result {
  readonly error: ServiceError | null;
  readonly message: Buffer | undefined;
  readonly initial: Metadata | undefined;
  readonly trailing: Metadata | undefined;
}

function call(
  name: string,
  message: Buffer,
  metadata = new Metadata(),
  deadlineMs = 10_000,
): Promise<Result> {
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise(resolve => {
    let initial: Metadata | undefined;
    let trailing: Metadata | undefined;
    let ended: Pick<Result, "error" | "message"> | undefined;
    const done = (): void => {
      if (ended !== undefined && trailing !== undefined) resolve({ ...ended, initial, trailing });
    };
    const started = client.makeUnaryRequest(
      `/test.v1.Echo/${name}`,
      same,
      same,
      message,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, response) => {
        ended = { error, message: response };
        done();
      },
    );
    started.on("metadata", received => {
      initial = received;
    });
    started.on("status", ({ metadata: received }) => {
      trailing = received;
      done();
    });
  });
}

test("grpc-js calls a method through the gateway, and metadata passes both ways, leading and trailing apart", async () => {
  const metadata = new Metadata();
  metadata.set("x-in", "yes");
  metadata.set("data-bin", Buffer.from([0, 255]));
  const { error, message, initial, trailing } = await call("Create", item, metadata);
  assert.equal(error, null);
  assert.deepEqual(message, item);
  assert.deepEqual(initial?.get("x-out"), ["yes"]);
  assert.deepEqual(initial?.get("data-bin"), [Buffer.from([0, 255])]);
  assert.deepEqual(initial?.get("x-secret"), []);
  assert.deepEqual(initial?.get("x-end"), []);
  assert.deepEqual(trailing?.get("x-end"), ["late"]);
});

test("a failure of the backend reaches a gRPC client untouched: code, message, details, trailing metadata", async () => {
  const { error, trailing } = await call("List", item);
  assert.equal(error?.code, 5);
  assert.equal(error?.details, "no 100% of €");
  assert.deepEqual(trailing?.get("grpc-status-details-bin"), [Buffer.from([0x08, 5, 0x12, 2, 0x68, 0x69])]);
  assert.deepEqual(trailing?.get("x-end"), ["late"]);
});

test("a code above those of gRPC reaches a gRPC client as it came", async () => {
  const { error } = await call("Rename", item);
  assert.equal(error?.code, 5002);
});

test("a gRPC call of an unknown method is unimplemented", async () => {
  const { error } = await call("None", item);
  assert.equal(error?.code, 12);
});

test("a request message over gRPC that is too large is RESOURCE_EXHAUSTED, and no call is made", async () => {
  const before = system.backend.calls.length;
  const { error } = await call("Get", Buffer.alloc(65 * 1024));
  assert.equal(error?.code, 8);
  assert.equal(system.backend.calls.length, before);
});

test("the deadline of a gRPC client is the deadline of the backend's call", async () => {
  const { error } = await call("Archive", item, new Metadata(), 300);
  assert.equal(error?.code, 4);
  const deadline = system.backend.calls.at(-1)?.metadata;
  assert.ok(deadline !== undefined);
});
