import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { type DemoBackend, startDemoBackend } from "../../src/demo/backend.js";

/** grpc.health.v1.HealthCheckRequest */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

const bytes = (message: Buffer): Buffer => message;

describe("the demo backend", () => {
  let backend: DemoBackend;
  let client: Client;
  before(async () => {
    backend = await startDemoBackend();
    client = new Client(backend.address, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await backend.close();
  });

  function call(path: string, request: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, bytes, bytes, request, (error, reply) => {
        if (error === null) resolve(reply ?? Buffer.alloc(0));
        else reject(error);
      });
    });
  }

  it("the demo backend says where it listens", () => {
    assert.equal(backend.address, `127.0.0.1:${backend.port}`);
    assert.ok(backend.port > 0);
  });

  it("serves by the health protocol, as a whole and each service", async () => {
    for (const service of ["", "product.app.v1.BlogService", "killrchat.v1.RoomService"]) {
      const reply = await call("/grpc.health.v1.Health/Check", healthRequest(service));
      assert.deepEqual(reply, Buffer.from([0x08, 1]));
    }
  });

  it("the demo backend does not know the health of a service that it does not have", async () => {
    await assert.rejects(
      call("/grpc.health.v1.Health/Check", healthRequest("no.such.Service")),
      (error: ServiceError) => error.code === status.NOT_FOUND,
    );
  });

  it("the demo backend responds to bytes that are no message with a status and lives on", async () => {
    await assert.rejects(call("/killrchat.v1.UserService/GetUser", Buffer.from([0x0a, 0xff])));
    await assert.rejects(
      call("/killrchat.v1.UserService/GetUser", Buffer.from([0x0a, 1, 0x78])),
      (error: ServiceError) => error.code === status.NOT_FOUND,
    );
  });

  it("the demo backend closes while a client watches its health", async () => {
    const other = await startDemoBackend();
    const watcher = new Client(other.address, credentials.createInsecure());
    const stream = watcher.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      bytes,
      bytes,
      healthRequest(""),
    );
    const [first] = await once(stream, "data");
    assert.deepEqual(first, Buffer.from([0x08, 1]));
    const ended = once(stream, "error");
    await other.close();
    await ended;
    watcher.close();
  });

  it("the demo backend cannot listen on a port that is taken", async () => {
    await assert.rejects(startDemoBackend({ port: backend.port }));
  });
});
