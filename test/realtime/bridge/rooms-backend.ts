import {
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { FrameType } from "../../../src/h2/protocol.js";
import { response, settings, startRawServer } from "../../upstream/h2/raw-server.js";

/** What the backend of the tests serves: one method for each event, and methods that sockets call. */
export const roomsProto = `
syntax = "proto3";
package chat.v1;
import "google/protobuf/empty.proto";
import "google/protobuf/struct.proto";

service Rooms {
  rpc Connect(Visit) returns (google.protobuf.Empty);
  rpc Join(Visit) returns (google.protobuf.Empty);
  rpc Send(Post) returns (Verdict);
  rpc Leave(Visit) returns (google.protobuf.Empty);
  rpc Disconnect(Goodbye) returns (google.protobuf.Empty);
  rpc Record(google.protobuf.Struct) returns (google.protobuf.Empty);
  rpc Name(Post) returns (Renamed);
  rpc Odd(OddVisit) returns (google.protobuf.Empty);
  rpc Nothing(Echo) returns (google.protobuf.Empty);
}

service Calls {
  rpc Echo(Echo) returns (Echo);
  rpc Count(CountRequest) returns (stream Number);
  rpc Upload(stream Number) returns (Number);
}

service Hidden { rpc Get(Echo) returns (Echo); }

message Visit { string room_id = 1; string from = 2; string session_id = 3; string id = 4; }
message Post { string roomId = 1 [json_name = "room_id"]; string from = 2; string message = 3; }
message Verdict { string message = 1; string room_id = 2; string from = 3; }
message Renamed { optional string from = 1; optional string message = 2; }
message Goodbye { string from = 1; int32 code = 2; }
message OddVisit { int32 room_id = 1; repeated string from = 2; }
message Echo { int64 big = 1; string text = 2; repeated int64 list = 3; }
message CountRequest { int32 to = 1; int32 size = 2; }
message Number { int32 value = 1; string pad = 2; }
`;

export interface Seen {
  readonly method: string;
  readonly request: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

export type Unary = (
  request: Record<string, unknown>,
  reply: sendUnaryData<object>,
  call: ServerUnaryCall<object, object>,
) => void;
export type Streaming = (call: ServerWritableStream<Record<string, unknown>, object>) => void;

export interface RoomsBackend {
  readonly port: number;
  /** What reached it, in order. */
  readonly seen: Seen[];
  /** Resolves when that many calls have reached it. */
  reached(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A real gRPC server; methods without a handler answer with an empty message. */
export async function startRoomsBackend(
  handlers: Readonly<Record<string, Unary>> = {},
  streams: Readonly<Record<string, Streaming>> = {},
  port = 0,
): Promise<RoomsBackend> {
  const root = new protobuf.Root();
  for (const name of ["google/protobuf/empty.proto", "google/protobuf/struct.proto"]) {
    const common = protobuf.common.get(name);
    if (common !== null) root.addJSON(common.nested as Record<string, protobuf.AnyNestedObject>);
  }
  protobuf.parse(roomsProto, root, { keepCase: true });
  root.resolveAll();
  const server = new Server();
  const seen: Seen[] = [];
  const waiting = new Set<() => void>();
  const note = (method: string, request: object, metadata: Record<string, unknown>): void => {
    seen.push({ method, request: request as Record<string, unknown>, metadata });
    for (const look of waiting) look();
  };
  for (const service of ["chat.v1.Rooms", "chat.v1.Calls", "chat.v1.Hidden"]) {
    for (const method of root.lookupService(service).methodsArray) {
      if (method.requestStream) continue;
      const definition = definitionOf(service, method.resolve() as protobuf.Method);
      if (method.responseStream) {
        server.addService(
          { method: definition },
          {
            method: (call: ServerWritableStream<Record<string, unknown>, object>) => {
              note(method.name, call.request, call.metadata.getMap());
              streams[method.name]?.(call);
            },
          },
        );
        continue;
      }
      server.addService(
        { method: definition },
        {
          method: (call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>) => {
            note(method.name, call.request, call.metadata.getMap());
            const handler = handlers[method.name];
            if (handler === undefined) reply(null, {});
            else handler(call.request as Record<string, unknown>, reply, call);
          },
        },
      );
    }
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, number) =>
      error === null ? resolve(number) : reject(error),
    );
  });
  return {
    port: bound,
    seen,
    reached: count =>
      new Promise(resolve => {
        const look = (): void => {
          if (seen.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close: async () => server.forceShutdown(),
  };
}

function definitionOf(service: string, method: protobuf.Method): MethodDefinition<object, object> {
  const codec = (type: protobuf.Type) => ({
    serialize: (value: object) => Buffer.from(type.encode(type.fromObject(value)).finish()),
    deserialize: (wire: Buffer) => type.toObject(type.decode(wire), { longs: String, enums: String }),
  });
  const request = codec(method.resolvedRequestType as protobuf.Type);
  const response = codec(method.resolvedResponseType as protobuf.Type);
  return {
    path: `/${service}/${method.name}`,
    requestStream: false,
    responseStream: method.responseStream === true,
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

/**
 * A gRPC server that answers a request with an empty message, and one that has the text in it never. Unlike those of
 * gRPC's libraries it does not end calls at their deadline, which would come about when the gateway's own does.
 */
export async function startHangingServer(
  text: string,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = await startRawServer(peer => {
    peer.send(settings());
    peer.onFrame(({ type, stream, payload }) => {
      if (type === FrameType.Data && !payload.includes(text)) peer.send(response(stream, ""));
    });
  });
  return { port: Number(server.address.split(":")[1]), close: () => server.close() };
}
