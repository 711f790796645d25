import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  credentials,
  type Client as GrpcClient,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { startRoomsServer } from "../../../src/realtime/api/rooms-server.js";
import { decodeErrorReason, decodeStatus } from "../../../src/status/details.js";
import { type Json, serve, type TestServer } from "../harness.js";

const definition = loadSync("protogate/realtime/v1/rooms.proto", {
  includeDirs: ["protos"],
  keepCase: true,
  longs: Number,
  defaults: true,
});

interface Api extends TestServer {
  call(method: string, request: Json, authorization?: string): Promise<Json>;
}

async function start(t: TestContext, token?: string): Promise<Api> {
  const served = await serve(t);
  const options = { host: "127.0.0.1", port: 0, tls: undefined, token };
  const server = await startRoomsServer(() => served.realtime.hub, options);
  t.after(() => server.close());
  const { protogate } = loadPackageDefinition(definition) as never as {
    protogate: { realtime: { v1: { Rooms: new (address: string, ...rest: unknown[]) => GrpcClient } } };
  };
  const client = new protogate.realtime.v1.Rooms(`127.0.0.1:${server.port}`, credentials.createInsecure());
  t.after(() => client.close());
  return {
    ...served,
    call: (method, request, authorization) =>
      new Promise((resolve, reject) => {
        const metadata = new Metadata();
        if (authorization !== undefined) metadata.set("authorization", authorization);
        const methods = client as never as Record<
          string,
          (
            request: Json,
            metadata: Metadata,
            answer: (error: ServiceError | null, reply: Json) => void,
          ) => void
        >;
        methods[method]?.(request, metadata, (error, reply) =>
          error === null ? resolve(reply) : reject(error),
        );
      }),
  };
}

async function failing(
  call: Promise<Json>,
): Promise<{ code: number; message: string; reason: string | undefined }> {
  try {
    await call;
  } catch (error) {
    const { code, details, metadata } = error as ServiceError;
    const [bytes] = metadata.get("grpc-status-details-bin");
    const info = decodeStatus(bytes as Buffer)?.details[0];
    return { code, message: details, reason: info && decodeErrorReason(info.value) };
  }
  throw new Error("the call did not fail");
}

test("a backend publishes, broadcasts and reads over gRPC what members see", async t => {
  const { open, call } = await start(t);
  const client = await open();
  const { epoch } = await client.join("general", "jdoe");
  const published = await call("Publish", { room: "general", from: "system", message: "Hello!", id: "m1" });
  assert.deepEqual(published, { place: { epoch, seq: 1 }, duplicate: false });
  const again = await call("Publish", { room: "general", from: "system", message: "Hello!", id: "m1" });
  assert.deepEqual(again, { place: { epoch, seq: 1 }, duplicate: true });
  const { published: all } = (await call("Broadcast", {
    rooms: ["general", "other"],
    from: "system",
    message: "all",
  })) as { published: Json[] };
  assert.deepEqual(all[0], { place: { epoch, seq: 2 }, duplicate: false });
  assert.equal(all.length, 2);
  assert.equal((await client.next("receive-message")).message, "Hello!");
  assert.equal((await client.next("receive-message")).message, "all");

  assert.deepEqual(await call("ListRooms", {}), {
    rooms: [
      { room: "general", members: 1, held: true },
      { room: "other", members: 0, held: true },
    ],
  });
  const { members } = (await call("ListMembers", { room: "general" })) as { members: Json[] };
  assert.deepEqual(
    members.map(({ from }) => from),
    ["jdoe"],
  );
  const history = (await call("ReadHistory", { room: "general", since: { epoch, seq: 1 } })) as {
    messages: Json[];
    place: Json;
    recovered: boolean;
  };
  assert.deepEqual(history.place, { epoch, seq: 2 });
  assert.equal(history.recovered, true);
  const [{ sent_at, ...message }] = history.messages as [Json];
  assert.deepEqual(message, {
    place: { epoch, seq: 2 },
    from: "system",
    message: "all",
    event: "",
    data: "",
  });
  assert.ok(Math.abs((sent_at as { seconds: number }).seconds - Date.now() / 1000) < 60);
  const latest = (await call("ReadHistory", { room: "general", limit: 1 })) as {
    messages: Json[];
    place: unknown;
  };
  assert.equal(latest.messages.length, 1);
  assert.equal(latest.place, null);

  const subject = "jdoe";
  assert.deepEqual(await call("Subscribe", { subject, room: "team" }), { sessions: 1 });
  assert.equal((await client.next("joined")).room_id, "team");
  assert.deepEqual(await call("Send", { subject, from: "s", event: "e", data: "[1]" }), { sessions: 1 });
  assert.deepEqual((await client.next("direct-message")).data, [1]);
  const removal = { subject, room: "team", ban_seconds: 60 };
  assert.deepEqual(await call("Unsubscribe", removal), { sessions: 1 });
  assert.equal((await client.next("left")).room_id, "team");

  assert.deepEqual(await call("Disconnect", { subject: "jdoe", reason: "banned" }), { closed: 1 });
  assert.equal((await client.closed).reason, "banned");
});

test("failures carry the gateway's reason", async t => {
  const { call } = await start(t);
  assert.deepEqual(await failing(call("Publish", { room: "", from: "x", message: "m" })), {
    code: 3,
    message: "room not provided",
    reason: "INVALID_VALUE",
  });
  assert.deepEqual(await failing(call("Disconnect", { reason: "why" })), {
    code: 3,
    message: "expected either subject or session",
    reason: "INVALID_VALUE",
  });
});

test("the gRPC API of rooms with a token serves only callers that send it", async t => {
  const { call } = await start(t, "s3cret-token");
  for (const authorization of [undefined, "Bearer wrong", "s3cret-token", "Basic s3cret-token", "Bearer "]) {
    const { code, reason, message } = await failing(call("ListRooms", {}, authorization));
    assert.deepEqual([code, reason], [16, "CREDENTIALS_INVALID"], authorization);
    assert.ok(!message.includes("s3cret"));
  }
  assert.deepEqual(await call("ListRooms", {}, "Bearer s3cret-token"), { rooms: [] });
});

test("history over gRPC has U+FFFD in place of a surrogate without its other half", async t => {
  const { call, realtime } = await start(t);
  await realtime.hub.publish({ room: "a", from: "b", message: "half \ud83d and whole \u{1f600}" });
  const { messages } = await call("ReadHistory", { room: "a" });
  assert.deepEqual(
    (messages as Json[]).map(({ message }) => message),
    ["half \ufffd and whole \u{1f600}"],
  );
});
