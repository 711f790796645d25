import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { Server, ServerCredentials, type ServerReadableStream, type sendUnaryData } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { send, startTestGateway, type TestGateway } from "../gateway/harness.js";
import { rawMethod } from "../raw-method.js";

const message = `
message Piece { string id = 1; string name = 2; bytes chunk = 3; google.api.HttpBody file = 4; }
message Sum { int32 count = 1; int64 size = 2; }
`;
const proto = `
syntax = "proto3";
package up.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
service Uploads {
  rpc Send(stream Piece) returns (Sum) { option (google.api.http) = { post: "/v1/uploads/{id}" body: "*" }; }
  rpc SendRaw(stream google.api.HttpBody) returns (Sum) { option (google.api.http) = { post: "/v1/raw" body: "*" }; }
}
${message}`;

const types = protobuf.parse(
  `syntax = "proto3"; package up.v1;
   message HttpBody { string content_type = 1; bytes data = 2; }
   ${message.replace("google.api.HttpBody", "HttpBody")}`,
).root;
const Piece = types.lookupType("up.v1.Piece");
const Sum = types.lookupType("up.v1.Sum");
const HttpBody = types.lookupType("up.v1.HttpBody");

interface Plain {
  readonly id?: string;
  readonly name?: string;
  readonly chunk?: Buffer;
  readonly file?: { readonly contentType?: string; readonly data?: Buffer };
}

describe("a form for a client stream", () => {
  const server = new Server();
  let gateway: TestGateway;
  let received: Buffer[] = [];
  let cancelled: () => void = () => undefined;
  let begun: () => void = () => undefined;

  before(async () => {
    const define = (name: string) => rawMethod(`/up.v1.Uploads/${name}`, true);
    const handler = (call: ServerReadableStream<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void => {
      received = [];
      call.on("data", (bytes: Buffer) => {
        received.push(bytes);
        begun();
      });
      call.on("cancelled", () => cancelled());
      call.on("error", () => undefined);
      call.on("end", () => {
        const size = received.reduce((sum, { length }) => sum + length, 0);
        reply(null, Buffer.from(Sum.encode({ count: received.length, size }).finish()));
      });
    };
    server.addService(
      { Send: define("Send"), SendRaw: define("SendRaw") },
      { Send: handler, SendRaw: handler },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams: { up: { targets: ["127.0.0.1:${port}"] } }
services: [{ service: up.v1.Uploads, upstream: up }]
http: { limits: { body: 4KiB }, uploads: { parts: 5, file: 8MiB } }
`,
      { "protos/up.proto": proto },
    );
  });
  after(async () => {
    await gateway.close();
    server.forceShutdown();
  });

  const pieces = (): Plain[] => received.map(bytes => Piece.toObject(Piece.decode(bytes)) as Plain);
  const file = (content: Uint8Array): Blob =>
    new Blob([content as Uint8Array<ArrayBuffer>], { type: "video/mp4" });
  const post = (path: string, body: FormData) => send(`${gateway.url}${path}`, { method: "POST", body });

  for (const field of ["chunk", "file"] as const) {
    test(`streams a file of 4 MiB into ${field}, behind a first message of its other fields`, async () => {
      const content = Uint8Array.from({ length: 4 << 20 }, (_, index) => (index * 7) % 251);
      const form = new FormData();
      form.append("name", "x.mp4");
      form.append(field, file(content), "x.mp4");
      const { status, json } = await post("/v1/uploads/7", form);
      assert.equal(status, 200, JSON.stringify(json));
      const [first, ...others] = pieces();
      assert.deepEqual(first, { id: "7", name: "x.mp4" });
      assert.ok(others.length > 10);
      const data = others.map(piece => (field === "chunk" ? piece.chunk : piece.file?.data) as Buffer);
      assert.ok(data.every(({ length }) => length <= 1 << 18));
      assert.ok(Buffer.concat(data).equals(content));
      if (field === "file")
        assert.deepEqual(
          others.map(piece => piece.file?.contentType).filter(type => type),
          ["video/mp4"],
        );
    });
  }

  test("streams the one file of a form as the HttpBody of a method", async () => {
    const form = new FormData();
    form.append("any", file(Buffer.from("hello")), "x");
    assert.equal((await post("/v1/raw", form)).status, 200);
    const bodies = received.map(bytes => HttpBody.toObject(HttpBody.decode(bytes)));
    assert.equal(bodies[0]?.contentType, "video/mp4");
    assert.equal(Buffer.concat(bodies.map(({ data }) => data as Buffer)).toString(), "hello");
  });

  test("an empty file, and a form without one, are a message each", async () => {
    const empty = new FormData();
    empty.append("file", file(new Uint8Array(0)), "x");
    assert.equal((await post("/v1/uploads/7", empty)).status, 200);
    assert.deepEqual(pieces(), [{ id: "7" }, { file: { contentType: "video/mp4" } }]);
    const none = new FormData();
    none.append("name", "n");
    assert.equal((await post("/v1/uploads/7", none)).status, 200);
    assert.deepEqual(pieces(), [{ id: "7", name: "n" }]);
  });

  test("a urlencoded form is one message", async () => {
    const { status } = await send(`${gateway.url}/v1/uploads/7`, {
      method: "POST",
      body: new URLSearchParams({ name: "n" }),
    });
    assert.equal(status, 200);
    assert.deepEqual(pieces(), [{ id: "7", name: "n" }]);
  });

  for (const [what, fill, expected] of [
    [
      "a field behind the file",
      (form: FormData) => form.append("name", "n"),
      [400, "UNEXPECTED_BODY", /^name: .*last part/],
    ],
    [
      "a second file",
      (form: FormData) => form.append("chunk", file(Buffer.from("y")), "y"),
      [400, "UNEXPECTED_BODY", /^chunk: .*one file/],
    ],
  ] as const) {
    test(`a form for a client stream with ${what} is refused`, async () => {
      const form = new FormData();
      form.append("chunk", file(new Uint8Array(200_000)), "x");
      fill(form);
      const { status, json } = await post("/v1/uploads/7", form);
      assert.deepEqual([status, json.reason], [expected[0], expected[1]]);
      assert.match(json.message, expected[2]);
    });
  }

  test("a form for a client stream with a file that is too large is 413", async () => {
    const form = new FormData();
    form.append("chunk", file(new Uint8Array(9 << 20)), "x");
    const answer = await post("/v1/uploads/7", form).catch(() => undefined);
    // A client that still sends may miss the response.
    if (answer !== undefined) assert.deepEqual([answer.status, answer.json.reason], [413, "BODY_TOO_LARGE"]);
    assert.ok(received.reduce((sum, { length }) => sum + length, 0) < 9 << 20);
  });

  test("the call of a form for a client stream is cancelled when its client leaves in the middle", async () => {
    const over = new Promise<void>(resolve => {
      cancelled = resolve;
    });
    const started = new Promise<void>(resolve => {
      begun = resolve;
    });
    const socket = connect(gateway.httpPort, "127.0.0.1");
    socket.write(
      "POST /v1/uploads/7 HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n" +
        '--b\r\ncontent-disposition: form-data; name="chunk"; filename="x"\r\n\r\nhello\r\n',
    );
    await Promise.all([once(socket, "connect"), started]);
    socket.destroy();
    await over;
  });

  test("a form for a client stream that ends without its final boundary is 400", async () => {
    const { status, json } = await send(`${gateway.url}/v1/uploads/7`, {
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=b" },
      body: '--b\r\ncontent-disposition: form-data; name="chunk"; filename="x"\r\n\r\nhello',
    });
    assert.deepEqual([status, json.reason], [400, "MALFORMED_FORM"]);
  });
});
