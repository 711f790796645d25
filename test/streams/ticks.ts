import { after, before } from "node:test";
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { startTestGateway, type TestGateway } from "../gateway/harness.js";
import { rawMethod } from "../raw-method.js";

/** A service whose methods stream in every way, with bindings of every form. */
export const ticksProto = `
syntax = "proto3";
package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";

service Ticks {
  rpc Watch(WatchRequest) returns (stream Tick) { option (google.api.http) = { get: "/v1/rooms/{room}/ticks" }; }
  rpc Find(WatchRequest) returns (stream Tick) { option (google.api.http) = { post: "/v1/rooms/{room}:find" body: "*" }; }
  rpc Send(stream Tick) returns (Summary) { option (google.api.http) = { post: "/v1/rooms/{room}/ticks" body: "*" }; }
  rpc Talk(stream Tick) returns (stream Tick) { option (google.api.http) = { post: "/v1/rooms/{room}:talk" body: "*" }; }
  rpc Download(WatchRequest) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/files/{room}" }; }
  rpc Upload(stream google.api.HttpBody) returns (Summary) { option (google.api.http) = { post: "/v1/files" body: "*" }; }
  rpc Store(stream File) returns (Summary) { option (google.api.http) = { put: "/v1/files/{name}" body: "content" }; }
}

/** What the stream does: \`count\` ticks, then the code \`fail\`. */
message WatchRequest { string room = 1; int32 count = 2; int64 since = 3; int32 fail = 4; int32 size = 5; bool hang = 6; string tag = 7; bool early = 8; }
message Tick { string room = 1; int64 seq = 2; string text = 3; string kind = 4; }
message Summary { string room = 1; int32 count = 2; int64 bytes = 3; string content_type = 4; }
message File { string name = 1; google.api.HttpBody content = 2; }
`;

const root = protobuf.parse(
  ticksProto
    .replaceAll(/option \(google.api.http\) = \{[^}]*\};/g, "")
    .replaceAll(/import [^;]*;/g, "")
    .replaceAll(/ google.api.HttpBody content/g, " HttpBody content")
    .replaceAll("google.api.HttpBody", "HttpBody") +
    "message HttpBody { string content_type = 1; bytes data = 2; }\n",
  { keepCase: true },
).root;
const type = (name: string) => root.lookupType(`test.v1.${name}`);

/** A message of the service as bytes. @param name without the package */
export function encodeTicks(name: string, value: object): Buffer {
  return Buffer.from(type(name).encode(value).finish());
}

export interface TicksBackend {
  readonly port: number;
  /** Messages that streams of requests brought, by method. */
  readonly received: { readonly method: string; readonly message: Record<string, unknown> }[];
  /** Calls that were cancelled by the gateway. */
  cancelled: number;
  /** Messages that the backend has written of downloads; flow control stops it. */
  written: number;
  onCancelled(): Promise<void>;
  /** Resolves with the next message. */
  onMessage(): Promise<void>;
  close(): Promise<void>;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** A real gRPC server whose methods do what their requests say. */
export async function startTicks(): Promise<TicksBackend> {
  const received: TicksBackend["received"] = [];
  const waiting: (() => void)[] = [];
  const listening: (() => void)[] = [];
  const backend = { received, cancelled: 0, written: 0 };
  const server = new Server();
  const toObject = (name: string, bytes: Buffer) =>
    type(name).toObject(type(name).decode(bytes), { longs: Number, defaults: true, bytes: String });
  /** Bytes that are no message count as an empty one: the gateway does not read what it hands on. */
  const decode = (name: string, bytes: Buffer) => {
    try {
      return toObject(name, bytes);
    } catch {
      return toObject(name, Buffer.alloc(0));
    }
  };
  const tick = (room: unknown, seq: number, text: string): Buffer => encodeTicks("Tick", { room, seq, text });
  const note = (method: string, message: Record<string, unknown>): void => {
    received.push({ method, message });
    for (const done of listening.splice(0)) done();
  };

  function watch(call: Call, bytes: Buffer, method: string): void {
    const request = decode("WatchRequest", bytes);
    note(method, request);
    if (request.early) call.sendMetadata(metadataOf({ etag: '"v1"', "x-room": String(request.room) }));
    let seq = Number(request.since);
    const last = seq + Number(request.count);
    const text = "x".repeat(Number(request.size));
    const write = (): void => {
      while (seq < last) {
        seq++;
        backend.written++;
        const more =
          method === "Download"
            ? encodeTicks("HttpBody", {
                content_type: seq === 1 ? "image/png" : "",
                data: Buffer.from(`${seq}${text}`),
              })
            : tick(request.room, seq, text === "" ? `tick ${seq}` : text);
        if (!call.write(more)) {
          call.once("drain", write);
          return;
        }
      }
      if (request.hang) return;
      if (Number(request.fail) === 0) call.end();
      else
        call.emit("error", {
          code: Number(request.fail),
          details: `failed after ${seq}`,
          metadata: metadataOf({}),
        });
    };
    call.on("cancelled", cancelled);
    write();
  }
  function cancelled(): void {
    backend.cancelled++;
    for (const done of waiting.splice(0)) done();
  }
  const add = (name: string, requestStream: boolean, responseStream: boolean, handler: unknown): void =>
    server.addService(
      {
        [name]: rawMethod(`/test.v1.Ticks/${name}`, requestStream, responseStream),
      },
      { [name]: handler } as never,
    );
  for (const name of ["Watch", "Find", "Download"])
    add(name, false, true, (call: Call & { request: Buffer }) => watch(call, call.request, name));
  const collect =
    (name: string, input: string) =>
    (call: Call, reply: (error: object | null, bytes?: Buffer) => void): void => {
      let count = 0;
      let bytes = 0;
      let first: Record<string, unknown> = {};
      call.on("cancelled", cancelled);
      call.on("data", (data: Buffer) => {
        const message = decode(input, data);
        if (count++ === 0) first = message;
        bytes += data.length;
        note(name, message);
        if (message.content_type === "application/x-hang" || message.text === "hang") call.pause();
        if (message.text === "refuse") reply({ code: status.FAILED_PRECONDITION, details: "refused" });
      });
      call.on("end", () =>
        reply(
          null,
          encodeTicks("Summary", { room: first.room, count, bytes, content_type: first.content_type }),
        ),
      );
    };
  add("Send", true, false, collect("Send", "Tick"));
  add("Upload", true, false, collect("Upload", "HttpBody"));
  add("Store", true, false, collect("Store", "File"));
  add("Talk", true, true, (call: Call) => {
    call.on("cancelled", cancelled);
    call.on("data", (data: Buffer) => {
      const message = decode("Tick", data);
      note("Talk", message);
      if (message.text === "fail") call.emit("error", { code: status.ABORTED, details: "stop talking" });
      else call.write(tick(message.room, Number(message.seq) + 1, String(message.text)));
    });
    call.on("end", () => call.end());
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return Object.assign(backend, {
    port,
    onCancelled: () =>
      backend.cancelled > 0 ? Promise.resolve() : new Promise<void>(resolve => waiting.push(resolve)),
    onMessage: () => new Promise<void>(resolve => listening.push(resolve)),
    close: async () => server.forceShutdown(),
  });
}

function metadataOf(entries: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

/** @param service further keys of the service, as YAML flow entries */
export function startTicksGateway(
  port: number,
  service = "",
  yaml = "",
  files: Readonly<Record<string, string>> = {},
): Promise<TestGateway> {
  return startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { ticks: { targets: ["127.0.0.1:${port}"] } }
services: [{ service: test.v1.Ticks, upstream: ticks${service === "" ? "" : `, ${service}`} }]
telemetry: { log: { level: info } }
${yaml}`,
    { "protos/ticks.proto": ticksProto, ...files },
  );
}

/** What `serveTicks` has started, while tests run. */
export interface TicksSystem {
  readonly backend: TicksBackend;
  readonly gateway: TestGateway;
}

/** Has a backend and a gateway in front of it run for the tests of a group or a file. Parameters: see `startTicksGateway`. */
export function serveTicks(
  service = "",
  yaml = "",
  files: Readonly<Record<string, string>> = {},
): TicksSystem {
  const system = {} as { backend: TicksBackend; gateway: TestGateway };
  before(async () => {
    system.backend = await startTicks();
    system.gateway = await startTicksGateway(system.backend.port, service, yaml, files);
  });
  after(async () => {
    await system.gateway.close();
    await system.backend.close();
  });
  return system;
}
